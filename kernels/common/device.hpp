#pragma once

#include <kernels/common/cuda_check.hpp>

namespace traincost::kernels {

inline int device_attribute(cudaDeviceAttr attribute) {
  int device = 0;
  int value = 0;
  TRAINCOST_CUDA_CHECK(cudaGetDevice(&device));
  TRAINCOST_CUDA_CHECK(cudaDeviceGetAttribute(&value, attribute, device));
  return value;
}

inline int sm_count() { return device_attribute(cudaDevAttrMultiProcessorCount); }

}  // namespace traincost::kernels
