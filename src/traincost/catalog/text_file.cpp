#include <fstream>
#include <system_error>

#include <fmt/format.h>

#include <traincost/catalog/text_file.hpp>
#include <traincost/units/error.hpp>

namespace traincost::catalog {

std::string read_text_file(const std::filesystem::path& path, std::size_t limit) {
  std::error_code error;
  const auto status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status)) throw InputError(fmt::format("{}: no such file", path.string()));
  if (std::filesystem::is_directory(status)) {
    throw InputError(fmt::format("{}: is a folder, expected a file", path.string()));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(fmt::format("{}: cannot be read", path.string()));

  std::string text(limit + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (file.bad()) throw InputError(fmt::format("{}: cannot be read", path.string()));
  if (text.size() > limit) {
    throw InputError(fmt::format("{}: longer than {} bytes, expected a small text file", path.string(), limit));
  }
  return text;
}

}  // namespace traincost::catalog
