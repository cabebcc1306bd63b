#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "machine.hpp"

namespace ptx {

/// The address of a module's global or constant variable.
using SymbolAddress = std::function<std::uint64_t(const std::string&)>;

/// Makes a kernel's text executable: calls inlined, labels resolved, registers placed, every instruction looked up.
/// Throws PtxError with kernel, line and opcode when one is not in the table.
[[nodiscard]] std::unique_ptr<Program> load(const Module& module, const std::string& kernel,
                                            const SymbolAddress& address);

/// The values of special registers such as %tid.x, once a warp starts (special.cpp).
[[nodiscard]] std::size_t special_bytes(const std::string& name);  // 0: unknown
void set_special(Warp& warp, const std::string& name, const Operand& operand);

/// Functions that the toolkit provides: vprintf, __assertfail (native.cpp); nullptr: none of that name.
[[nodiscard]] Handler native_function(const std::string& name);

}  // namespace ptx
