#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "machine.hpp"

namespace ptx {

struct Symbol {
  Space space = Space::kGlobal;
  std::uint64_t value = 0;  // address or offset
  std::size_t bytes = 0;
};

inline std::size_t align_up(std::size_t value, std::size_t align) { return (value + align - 1) / align * align; }

/// One function in the process of being inlined.
struct Frame {
  const Function* function = nullptr;
  int depth = 0;
  std::unordered_map<std::string, Symbol> symbols{};
  std::unordered_map<std::string, Operand> registers{};  // of a family: by its prefix, the first one
  std::unordered_map<std::string, int> families{};       // prefix -> count
  std::vector<std::uint32_t> op_of{};                    // instruction -> op
  struct Jump {
    std::uint32_t op = 0;
    std::string label;  // empty: the end of the function
    int scope = 0;
    int table = -1;  // of branch_tables
  };
  std::vector<Jump> jumps{};
};

/// The bytes of one register for all lanes; a predicate is one bit a lane.
inline std::size_t register_stride(std::size_t bytes) { return bytes == 0 ? sizeof(Mask) : bytes * kLanes; }

/// The register of this name that the function declares, by itself or as one of a family %r<n>.
[[nodiscard]] std::optional<Operand> declared_register(const Frame& frame, const std::string& name);

/// The constants of a program. An operand is read as 16, 32 or 64 bits: there is a pool for each, where a constant is
/// repeated for all lanes, 256 bytes apart.
class Constants {
 public:
  [[nodiscard]] Operand operand(std::uint64_t bits, bool is_double = false);
  /// Constants in [from, from + span) become offsets from `to`.
  void move(std::uint64_t from, std::uint64_t span, std::uint64_t to);
  [[nodiscard]] std::array<std::vector<std::uint64_t>, 4> pools() const;  // [log2 bytes]

 private:
  struct Constant {
    std::uint64_t bits = 0;
    bool is_double = false;  // its 32-bit form is the float of that value
    auto operator<=>(const Constant&) const = default;
  };
  std::vector<Constant> constants_;
  std::map<Constant, std::uint32_t> numbers_;
};

}  // namespace ptx
