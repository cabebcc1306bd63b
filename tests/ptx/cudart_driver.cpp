#include <cuda.h>
#include <cuda_runtime_api.h>

#include <cstring>
#include <string_view>

#include "cudart.hpp"
#include "error.hpp"
#include "session.hpp"
#include "tensor_map.hpp"

// The one driver call that kernels need: tensor maps, handed out by cudaGetDriverEntryPointByVersion.
namespace ptx {
namespace {

std::uint8_t element_bytes(CUtensorMapDataType type) {
  switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8:
      return 1;
    case CU_TENSOR_MAP_DATA_TYPE_UINT16:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT16:
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16:
      return 2;
    case CU_TENSOR_MAP_DATA_TYPE_UINT32:
    case CU_TENSOR_MAP_DATA_TYPE_INT32:
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32:
      return 4;
    default:
      return 0;
  }
}

std::uint8_t swizzle_bytes(CUtensorMapSwizzle swizzle) {
  switch (swizzle) {
    case CU_TENSOR_MAP_SWIZZLE_32B:
      return 32;
    case CU_TENSOR_MAP_SWIZZLE_64B:
      return 64;
    case CU_TENSOR_MAP_SWIZZLE_128B:
      return 128;
    default:
      return 0;
  }
}

CUresult encode_tiled(CUtensorMap* out, CUtensorMapDataType type, cuuint32_t rank, void* address,
                      const cuuint64_t* size, const cuuint64_t* strides, const cuuint32_t* box,
                      const cuuint32_t* element_strides, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
                      CUtensorMapL2promotion, CUtensorMapFloatOOBfill fill) {
  if (rank < 1 || rank > kMostDimensions) return CUDA_ERROR_INVALID_VALUE;
  TensorMap map{.magic = kTensorMapMagic,
                .rank = static_cast<std::uint8_t>(rank),
                .element_bytes = element_bytes(type),
                .swizzle = swizzle_bytes(swizzle),
                .fills_nan = static_cast<std::uint8_t>(fill == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE ? 0 : 1),
                .address = reinterpret_cast<std::uint64_t>(address)};
  if (map.element_bytes == 0 || interleave != CU_TENSOR_MAP_INTERLEAVE_NONE) return CUDA_ERROR_NOT_SUPPORTED;
  for (std::size_t i = 0; i < rank; ++i) {
    if (size[i] == 0 || size[i] > 0xffffffffU || box[i] > 256) return CUDA_ERROR_INVALID_VALUE;
    if (element_strides[i] != 1) return CUDA_ERROR_NOT_SUPPORTED;
    map.size[i] = static_cast<std::uint32_t>(size[i]);
    map.box[i] = static_cast<std::uint16_t>(box[i]);
    map.stride[i] = i == 0 ? map.element_bytes : strides[i - 1];
  }
  if (const auto refused = refusal(map)) {
    session().fault = "cuTensorMapEncodeTiled: " + *refused;
    return CUDA_ERROR_INVALID_VALUE;
  }
  std::memset(out, 0, sizeof(CUtensorMap));
  std::memcpy(out, &map, sizeof(map));
  return CUDA_SUCCESS;
}

}  // namespace
}  // namespace ptx

extern "C" cudaError_t cudaGetDriverEntryPointByVersion(const char* symbol, void** function, unsigned,
                                                        unsigned long long, cudaDriverEntryPointQueryResult* result) {
  const bool known = std::string_view(symbol) == "cuTensorMapEncodeTiled";
  *function = known ? reinterpret_cast<void*>(&ptx::encode_tiled) : nullptr;
  if (result != nullptr) *result = known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
  return known ? cudaSuccess : ptx::record(cudaErrorSymbolNotFound);
}
