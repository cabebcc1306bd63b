#pragma once

#include <cuda.h>
#include <cuda_runtime_api.h>

#include <array>
#include <cstdint>
#include <string>

#include <kernels/common/cuda_check.hpp>

/// Tensor maps (TMA) of matrices in global memory, from the driver through the runtime: nothing links with libcuda.
namespace traincost::kernels {

template <class T>
constexpr CUtensorMapDataType kTensorMapType = sizeof(T) == 1   ? CU_TENSOR_MAP_DATA_TYPE_UINT8
                                               : sizeof(T) == 2 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
                                                                : CU_TENSOR_MAP_DATA_TYPE_FLOAT32;

/// A row-major matrix, or `batches` of them one behind the other, of which a box is copied at a time.
struct MatrixBox {
  std::int64_t rows = 0, columns = 0;
  std::int64_t stride = 0;   // elements between rows; a multiple of 16 bytes
  std::int64_t batches = 0;  // 0: a map of two dimensions
  int box_rows = 0, box_columns = 0;
  CUtensorMapSwizzle swizzle = CU_TENSOR_MAP_SWIZZLE_128B;
};

namespace detail {

inline CUtensorMap tensor_map(CUtensorMapDataType type, int element_bytes, const void* data, const MatrixBox& m) {
  static const auto kEncode = [] {
    constexpr unsigned kSince = 12000;  // CUDA 12.0
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    TRAINCOST_CUDA_CHECK(
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kSince, cudaEnableDefault, &found));
    if (function == nullptr) throw CudaError("this driver has no cuTensorMapEncodeTiled: CUDA 12 is needed");
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  const auto row_bytes = static_cast<cuuint64_t>(m.stride) * static_cast<cuuint64_t>(element_bytes);
  const std::array<cuuint64_t, 3> size{static_cast<cuuint64_t>(m.columns), static_cast<cuuint64_t>(m.rows),
                                       static_cast<cuuint64_t>(m.batches)};
  const std::array<cuuint64_t, 2> strides{row_bytes, row_bytes * static_cast<cuuint64_t>(m.rows)};
  const std::array<cuuint32_t, 3> box{static_cast<cuuint32_t>(m.box_columns), static_cast<cuuint32_t>(m.box_rows), 1};
  const std::array<cuuint32_t, 3> every{1, 1, 1};
  CUtensorMap map{};
  // The copy only reads; the interface knows no const.
  const CUresult result = kEncode(&map, type, m.batches == 0 ? 2 : 3, const_cast<void*>(data), size.data(),
                                  strides.data(), box.data(), every.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, m.swizzle,
                                  CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw CudaError(std::string("cuTensorMapEncodeTiled: error ").append(std::to_string(result)));
  return map;
}

}  // namespace detail

template <class T>
CUtensorMap tensor_map(const T* data, const MatrixBox& matrix) {
  return detail::tensor_map(kTensorMapType<T>, sizeof(T), data, matrix);
}

}  // namespace traincost::kernels
