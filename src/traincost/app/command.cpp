#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <traincost/app/command.hpp>
#include <traincost/measure/csv.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {

CLI::App* add_command(CLI::App& app, const std::string& verb, const std::string& what, const std::string& examples) {
  CLI::App* command = app.add_subcommand(verb, what);
  command->footer("Examples:\n" + examples);
  return command;
}

void add_format(CLI::App& command, report::Format& format) {
  command
      .add_option_function<std::string>(
          "--format",
          [&format](const std::string& text) {
            const auto parsed = report::parse_format(text);
            if (!parsed) throw InputError(fmt::format("--format: '{}', expected table, json or csv", text));
            format = *parsed;
          },
          "table, json or csv")
      ->type_name("FORMAT");
}

namespace {

CLI::Option* add_number(CLI::App& command, const std::string& name, std::optional<double>& value,
                        const std::string& what, bool is_whole) {
  const auto read = [&value, name, is_whole](const std::string& text) {
    const auto number = measure::parse_number(text);
    if (!number || *number <= 0 || (is_whole && *number != std::floor(*number)))
      throw InputError(
          fmt::format("{}: '{}', expected a positive {}number", name, text.substr(0, 80), is_whole ? "whole " : ""));
    value = *number;
  };
  return command.add_option_function<std::string>(name, read, what)->type_name("NUMBER");
}

}  // namespace

CLI::Option* add_positive(CLI::App& command, const std::string& name, std::optional<double>& value,
                          const std::string& what) {
  return add_number(command, name, value, what, false);
}
CLI::Option* add_count(CLI::App& command, const std::string& name, std::optional<double>& value,
                       const std::string& what) {
  return add_number(command, name, value, what, true);
}

void print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void write_file(const std::string& path, std::string_view text) {
  const std::filesystem::path target(path);
  const std::filesystem::path beside = target.string() + ".part";
  {
    std::ofstream file(beside, std::ios::binary | std::ios::trunc);
    file.write(text.data(), static_cast<std::streamsize>(text.size()));
    file.close();
    if (!file) throw InputError(fmt::format("{}: cannot be written", path));
  }
  std::error_code error;
  std::filesystem::rename(beside, target, error);
  if (!error) return;
  std::error_code ignored;
  std::filesystem::remove(beside, ignored);
  throw InputError(fmt::format("{}: cannot be written: {}", path, error.message()));
}

}  // namespace traincost::app
