#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>

#include <traincost/report/table.hpp>

/// One subcommand is one file cmd_<verb>.cpp with one function; main lists them. A command makes its whole result first
/// and prints it once, so that bad input never leaves half a table behind.
namespace traincost::app {

void add_chips(CLI::App& app);
void add_models(CLI::App& app);
void add_calibrate(CLI::App& app);
void add_estimate(CLI::App& app);
void add_search(CLI::App& app);
void add_ablate(CLI::App& app);
void add_compare(CLI::App& app);
void add_validate(CLI::App& app);
void add_classify(CLI::App& app);
void add_rules(CLI::App& app);
void add_scenario(CLI::App& app);
void add_budget(CLI::App& app);
void add_trend(CLI::App& app);
void add_rl(CLI::App& app);
void add_cache(CLI::App& app);

/// Adds a subcommand whose help ends with `examples`, one command per line; a test runs each of them.
CLI::App* add_command(CLI::App& app, const std::string& verb, const std::string& what, const std::string& examples);

/// Adds --format table|json|csv.
void add_format(CLI::App& command, report::Format& format);

/// Adds an option that must be a finite positive number.
CLI::Option* add_positive(CLI::App& command, const std::string& name, std::optional<double>& value,
                          const std::string& what);
/// The same, and whole: a count of GPUs or sequences.
CLI::Option* add_count(CLI::App& command, const std::string& name, std::optional<double>& value,
                       const std::string& what);

/// The one place that writes to stdout.
void print(std::string_view text);

/// Writes beside the target and renames: the file is either the old or the new one, whole. Throws InputError.
void write_file(const std::string& path, std::string_view text);

}  // namespace traincost::app
