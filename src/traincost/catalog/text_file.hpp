#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace traincost::catalog {

/// A user's catalogue file is a few kilobytes; more is a mistake that should not be read to its end.
inline constexpr std::size_t kMaxTextFileBytes = 1 << 20;

/// The file's text. Throws InputError: missing, a folder, unreadable, or longer than `limit` bytes (no more is read).
std::string read_text_file(const std::filesystem::path& path, std::size_t limit = kMaxTextFileBytes);

}  // namespace traincost::catalog
