#include <bench/journal.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <utility>
#include <vector>

#include <traincost/units/error.hpp>

namespace traincost::bench {
namespace {
using Json = nlohmann::ordered_json;

[[noreturn]] void fail(const std::string& path) { throw InputError(fmt::format("{}: {}", path, std::strerror(errno))); }

std::string read_all(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// The whole lines; what follows the last newline was being written when the run was killed.
std::vector<Json> read_lines(const std::string& path) {
  const auto text = read_all(path);
  std::vector<Json> lines;
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    lines.push_back(Json::parse(text.substr(begin, end - begin), nullptr, false));
    if (lines.back().is_discarded()) throw InputError(fmt::format("{}:{}: expected a JSON object", path, lines.size()));
  }
  return lines;
}

void cut_torn_line(const std::string& path) {
  const auto text = read_all(path);
  const auto end = text.rfind('\n');
  std::filesystem::resize_file(path, end == std::string::npos ? 0 : end + 1);
}

bool failed(const Json& row) { return row.value("error_occurred", false); }

void write_whole(int file, const std::string& text, const std::string& path) {
  if (::write(file, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || ::fsync(file) != 0) fail(path);
}

}  // namespace

std::string plain_name(const std::string& name) { return name.substr(0, name.find("/iterations:")); }

Journal::Journal(std::string path, Context context, const std::set<std::string>& same)
    : path_(std::move(path)), context_(std::move(context)) {
  if (std::filesystem::exists(path_)) {
    cut_torn_line(path_);
    const auto lines = read_lines(path_);
    has_context_ = !lines.empty();
    for (std::size_t i = 1; i < lines.size(); ++i)
      if (!failed(lines[i])) finished_.insert(plain_name(lines[i].at("name")));
    for (const auto& key : same)
      if (has_context_ && lines[0].value(key, "") != context_[key])
        throw InputError(fmt::format("{}: {} = \"{}\", expected \"{}\" as now: finish it there or remove it", path_,
                                     key, lines[0].value(key, ""), context_[key]));
  }
  file_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file_ < 0) fail(path_);
}

Journal::~Journal() { ::close(file_); }

void Journal::append_line(const std::string& line) { write_whole(file_, line + "\n", path_); }

void Journal::begin(const std::string& google_context) {
  if (has_context_) return;
  auto context = Json::parse(google_context);
  for (const auto& [key, value] : context_) context[key] = value;
  append_line(context.dump());
  has_context_ = true;
}

void Journal::append(const std::string& row) {
  const auto parsed = Json::parse(row);
  append_line(parsed.dump());
  if (!failed(parsed)) finished_.insert(plain_name(parsed.at("name")));
}

void Journal::write_results(const std::string& path) const {
  const auto lines = read_lines(path_);
  if (lines.empty()) throw InputError(fmt::format("{}: no context, expected a run", path_));
  std::map<std::string, std::size_t> last;  // a row taken again after an error replaces it
  for (std::size_t i = 1; i < lines.size(); ++i) last[lines[i].at("name")] = i;
  Json results{{"context", lines[0]}, {"benchmarks", Json::array()}};
  for (std::size_t i = 1; i < lines.size(); ++i)
    if (last[lines[i].at("name")] == i) results["benchmarks"].push_back(lines[i]);
  const auto temporary = path + ".new";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) fail(temporary);
  write_whole(file, results.dump(1) + "\n", temporary);
  ::close(file);
  std::filesystem::rename(temporary, path);
}

}  // namespace traincost::bench
