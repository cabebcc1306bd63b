#include <kernels/common/tensor_map.hpp>
#include <kernels/mla_decode/sm90/attend.cuh>
#include <kernels/mla_decode/sm90/tiles.cuh>

#include <limits>

namespace traincost::kernels::mla_decode::sm90 {
namespace {

/// Registers of a thread: 384 * 168 in all. Expanding takes some.
template <bool kIsFp8>
struct Registers {
  static constexpr int kProducer = kIsFp8 ? 104 : 40;
  static constexpr int kConsumer = kIsFp8 ? 200 : 232;
  static_assert(kProducer + 2 * kConsumer == 3 * 168);
};

template <bool kIsFp8>
__global__ void __launch_bounds__(kThreads, 1)
    mla_decode_kernel(const __grid_constant__ CUtensorMap queries, const __grid_constant__ CUtensorMap cache,
                      const __grid_constant__ Params p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ uint4 dynamic[];
  const Shared shared(dynamic);
  init_barriers(shared, kIsFp8 ? kWarpgroup / 32 : 1);
  const int first_row = static_cast<int>(blockIdx.x) * kRows;
  const auto for_each_piece = [&](auto visit) {
    split_kv::for_each_piece(p.plan, p.b, p.lengths, static_cast<int>(blockIdx.y), visit);
  };
  if (warpgroup() < 2) {
    ptx::setmaxnreg_inc<Registers<kIsFp8>::kConsumer>();
    Phases phases;
    for_each_piece([&](const Piece& piece) { attend<!kIsFp8>(p, piece, first_row, shared, phases); });
    return;
  }
  ptx::setmaxnreg_dec<Registers<kIsFp8>::kProducer>();
  ProducerPhases phases;
  if (!kIsFp8 && (warp() != 0 || !ptx::elect())) return;
  for_each_piece([&](const Piece& piece) {
    if (tiles_of(piece) <= 0) return;
    if (!kIsFp8 || thread() == 0) bring_queries(shared, &queries, piece, first_row, phases);
    if constexpr (kIsFp8)
      expand_tiles(p, shared, piece, phases);
    else
      bring_tiles(p, shared, &cache, piece, phases);
  });
#endif
}

CUtensorMap box_map(const void* data, std::int64_t rows, std::int64_t batches) {
  return tensor_map(static_cast<const __nv_bfloat16*>(data), {.rows = rows,
                                                              .columns = kKeyDim,
                                                              .stride = kKeyDim,
                                                              .batches = batches,
                                                              .box_rows = 64,
                                                              .box_columns = kBoxColumns});
}

template <bool kIsFp8>
void start(const Params& p, cudaStream_t stream) {
  const int rows = p.s_q * p.h_q;
  const dim3 blocks(static_cast<unsigned>((rows + kRows - 1) / kRows), static_cast<unsigned>(p.plan.num_parts));
  TRAINCOST_CUDA_CHECK(
      cudaFuncSetAttribute(mla_decode_kernel<kIsFp8>, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes));
  const CUtensorMap queries = box_map(p.q, rows, p.b);
  // How many pages there are is not known here; the block table names none that does not exist.
  const CUtensorMap cache = kIsFp8 ? queries : box_map(p.cache, kTokens, std::numeric_limits<int>::max());
  mla_decode_kernel<kIsFp8><<<blocks, kThreads, kSharedBytes, stream>>>(queries, cache, p);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace

void launch(const Params& params, cudaStream_t stream) {
  validate(params);
  params.is_fp8 ? start<true>(params, stream) : start<false>(params, stream);
  combine(params, stream);
}

}  // namespace traincost::kernels::mla_decode::sm90
