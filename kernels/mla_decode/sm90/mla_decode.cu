#include <kernels/common/launch.cuh>
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

template <class V>
__global__ void __launch_bounds__(kThreads, 1)
    mla_decode_kernel(const __grid_constant__ CUtensorMap queries, const __grid_constant__ CUtensorMap cache,
                      const __grid_constant__ Params p) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ uint4 dynamic[];
  const Shared shared(dynamic);
  init_barriers<V>(shared);
  const int first_row = static_cast<int>(blockIdx.x) * kRows;
  const auto for_each_piece = [&](auto visit) {
    split_kv::for_each_piece(p.plan, p.b, p.lengths, static_cast<int>(blockIdx.y), visit);
  };
  if (warpgroup() < 2) {
    ptx::setmaxnreg_inc<Registers<V::kIsFp8>::kConsumer>();
    Phases phases;
    for_each_piece([&](const Piece& piece) { attend<V>(p, piece, first_row, shared, phases); });
  } else {
    ptx::setmaxnreg_dec<Registers<V::kIsFp8>::kProducer>();
    ProducerPhases phases;
    const bool brings = V::kIsFp8 || (warp() == 0 && ptx::elect());
    if (brings)
      for_each_piece([&](const Piece& piece) {
        if (tiles_of(piece) <= 0) return;
        if (!V::kIsFp8 || thread() == 0) bring_queries(shared, &queries, piece, first_row, phases);
        if constexpr (V::kIsFp8)
          expand_tiles(p, shared, piece, phases);
        else
          bring_tiles<V>(p, shared, &cache, piece, phases);
      });
    __syncwarp();
  }
  if constexpr (V::kCluster != 1) sync_blocks<V>();  // the other may still give tiles back here
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

template <class V>
void start(const Params& p, cudaStream_t stream) {
  const int rows = p.s_q * p.h_q;
  const CUtensorMap queries = box_map(p.q, rows, p.b);
  // How many pages there are is not known here; the block table names none that does not exist.
  const CUtensorMap cache = V::kIsFp8 ? queries : box_map(p.cache, kTokens, std::numeric_limits<int>::max());
  const dim3 blocks(static_cast<unsigned>(query_tiles(rows)), static_cast<unsigned>(p.plan.num_parts));
  launch_kernel(mla_decode_kernel<V>, {blocks, kThreads, kSharedBytes, stream, V::kCluster}, queries, cache, p);
}

}  // namespace

void launch(const Params& params, cudaStream_t stream) {
  validate(params);
  if (params.is_fp8)
    start<Variant<true, 1>>(params, stream);
  else if (query_tiles(params.s_q * params.h_q) % 2 == 0)
    start<Variant<false, 2>>(params, stream);
  else
    start<Variant<false, 1>>(params, stream);
  split_kv::combine(params, kLatent, stream);
}

}  // namespace traincost::kernels::mla_decode::sm90
