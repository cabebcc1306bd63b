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

/// A tensor of up to four dimensions, the innermost first; strides in bytes, of all but the innermost.
struct Encoding {
  cuuint32_t rank;
  std::array<cuuint64_t, 4> size;
  std::array<cuuint64_t, 3> strides;
  std::array<cuuint32_t, 4> box;
  CUtensorMapSwizzle swizzle;
};

inline CUtensorMap encode(CUtensorMapDataType type, const void* data, const Encoding& e) {
  static const auto kEncode = [] {
    constexpr unsigned kSince = 12000;  // CUDA 12.0
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found{};
    TRAINCOST_CUDA_CHECK(
        cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, kSince, cudaEnableDefault, &found));
    if (function == nullptr) throw CudaError("this driver has no cuTensorMapEncodeTiled: CUDA 12 is needed");
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
  }();
  const std::array<cuuint32_t, 4> every{1, 1, 1, 1};
  CUtensorMap map{};
  // The copy only reads; the interface knows no const.
  const CUresult result = kEncode(&map, type, e.rank, const_cast<void*>(data), e.size.data(), e.strides.data(),
                                  e.box.data(), every.data(), CU_TENSOR_MAP_INTERLEAVE_NONE, e.swizzle,
                                  CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw CudaError(std::string("cuTensorMapEncodeTiled: error ").append(std::to_string(result)));
  return map;
}

}  // namespace detail

template <class T>
CUtensorMap tensor_map(const T* data, const MatrixBox& m) {
  const auto row_bytes = static_cast<cuuint64_t>(m.stride) * sizeof(T);
  const auto rows = static_cast<cuuint64_t>(m.rows);
  return detail::encode(kTensorMapType<T>, data,
                        {.rank = m.batches == 0 ? 2U : 3U,
                         .size = {static_cast<cuuint64_t>(m.columns), rows, static_cast<cuuint64_t>(m.batches)},
                         .strides = {row_bytes, row_bytes * rows},
                         .box = {static_cast<cuuint32_t>(m.box_columns), static_cast<cuuint32_t>(m.box_rows), 1},
                         .swizzle = m.swizzle});
}

/// The matrix as [rows / 16][4][4] rows, of whose last four a box takes two: box_rows rows of twice as many, so that of
/// each sixteen columns of a wgmma a thread holds four neighbours, two in each of two boxes. Rows: a multiple of 16.
template <class T>
CUtensorMap fours_map(const T* data, const MatrixBox& m) {
  const auto row_bytes = static_cast<cuuint64_t>(m.stride) * sizeof(T);
  return detail::encode(kTensorMapType<T>, data,
                        {.rank = 4,
                         .size = {static_cast<cuuint64_t>(m.columns), 4, 4, static_cast<cuuint64_t>(m.rows) / 16},
                         .strides = {row_bytes, 4 * row_bytes, 16 * row_bytes},
                         .box = {static_cast<cuuint32_t>(m.box_columns), 2, 4, static_cast<cuuint32_t>(m.box_rows) / 8},
                         .swizzle = m.swizzle});
}

}  // namespace traincost::kernels
