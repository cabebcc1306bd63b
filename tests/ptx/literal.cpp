#include <bit>
#include <charconv>

#include "module.hpp"

namespace ptx {
namespace {

/// The whole text as a number in `base`, a final U allowed.
std::optional<std::uint64_t> integer(std::string_view text, int base) {
  std::uint64_t value = 0;
  if (text.ends_with('U')) text.remove_suffix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<Arg> literal(std::string_view text) {
  Arg arg{.kind = Arg::Kind::kNumber};
  std::optional<std::uint64_t> bits;
  const char kind = text.size() > 2 && text[0] == '0' ? text[1] : '0';
  if (kind == 'f' || kind == 'F' || kind == 'x' || kind == 'X') {
    bits = integer(text.substr(2), 16);
  } else if (kind == 'd' || kind == 'D') {
    bits = integer(text.substr(2), 16);
    arg.is_double = true;
  } else if (text.find('.') != std::string_view::npos) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc{} && end == text.data() + text.size()) bits = std::bit_cast<std::uint64_t>(value);
    arg.is_double = true;
  } else {
    bits = integer(text, 10);
  }
  if (!bits) return std::nullopt;
  arg.number = *bits;
  return arg;
}

}  // namespace ptx
