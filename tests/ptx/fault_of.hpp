#pragma once

#include <cuda_runtime_api.h>

#include <string>

#include "ptx/ptx.hpp"

namespace ptx::test {

/// The fault's text, empty when the launches were clean.
template <class Launch>
std::string fault_of(const Options& options, Launch launch) {
  set_options(options);
  launch();
  cudaGetLastError();
  set_options({});
  return take_fault();
}

}  // namespace ptx::test
