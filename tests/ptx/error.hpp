#pragma once

#include <stdexcept>

namespace ptx {

/// PTX that cannot be read, or an instruction that is not in the table.
struct PtxError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What a kernel did wrong while it ran; the text names kernel, block, thread, .cu line and instruction.
struct KernelFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace ptx
