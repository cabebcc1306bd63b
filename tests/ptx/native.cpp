#include <fmt/format.h>

#include <cstdio>

#include "isa.hpp"
#include "load.hpp"

// Functions without a body in PTX. Their operands are the local offsets of the call's .param variables.
namespace ptx {
namespace {

template <class T>
T argument(Warp& warp, const Op& op, std::uint32_t number, int lane) {
  const std::size_t offset = lanes<std::uint64_t>(warp, op.arg[number])[0];
  T value;
  std::memcpy(&value,
              warp.local.data() + static_cast<std::size_t>(lane) * warp.block->launch->program->local_bytes + offset,
              sizeof(T));
  return value;
}

const char* text_at(std::uint64_t address) { return reinterpret_cast<const char*>(host_pointer(address)); }

void assert_fail(Warp& warp, const Op& op, Mask mask) {
  const int lane = std::countr_zero(mask);
  fault(warp, op, lane,
        fmt::format("assertion failed: {} ({}:{})", text_at(argument<std::uint64_t>(warp, op, 0, lane)),
                    text_at(argument<std::uint64_t>(warp, op, 1, lane)), argument<std::uint32_t>(warp, op, 2, lane)));
}

// One conversion of a printf format at a time; the values lie aligned in local memory.
void print(Warp& warp, const Op& op, Mask mask) {
  const std::size_t local = warp.block->launch->program->local_bytes;
  each(mask, [&](int lane) {
    std::string_view format = text_at(argument<std::uint64_t>(warp, op, 0, lane));
    const auto list = argument<std::uint64_t>(warp, op, 1, lane);
    const std::byte* values = warp.local.data() + static_cast<std::size_t>(lane) * local + (list - kLocalWindow);
    std::size_t at = 0;
    auto next = [&](auto& value) {
      at = (at + sizeof(value) - 1) / sizeof(value) * sizeof(value);
      std::memcpy(&value, values + at, sizeof(value));
      at += sizeof(value);
    };
    while (!format.empty()) {
      const std::size_t percent = std::min(format.find('%'), format.size());
      std::fwrite(format.data(), 1, percent, stdout);
      format.remove_prefix(percent);
      if (format.empty()) break;
      const std::size_t end = std::min(format.find_first_of("diouxXcsfFeEgGp%", 1), format.size() - 1);
      const std::string one(format.substr(0, end + 1));
      format.remove_prefix(end + 1);
      const bool is_long = one.find('l') != std::string::npos;
      std::uint64_t bits = 0;
      std::uint32_t word = 0;
      switch (one.back()) {
        case '%':
          std::fputc('%', stdout);
          break;
        case 'f':
        case 'F':
        case 'e':
        case 'E':
        case 'g':
        case 'G': {
          double value = 0;
          next(value);
          std::printf(one.c_str(), value);  // NOLINT: the kernel's own format
          break;
        }
        case 's':
        case 'p':
          next(bits);
          std::printf(one.c_str(), text_at(bits));  // NOLINT
          break;
        default:
          if (is_long) {
            next(bits);
            std::printf(one.c_str(), bits);  // NOLINT
          } else {
            next(word);
            std::printf(one.c_str(), word);  // NOLINT
          }
      }
    }
  });
}

}  // namespace

Handler native_function(const std::string& name) {
  if (name == "vprintf") return print;
  if (name == "__assertfail") return assert_fail;
  return nullptr;
}

}  // namespace ptx
