#include <algorithm>

#include <kernels/common/device.hpp>
#include <kernels/common/launch.cuh>
#include <kernels/common/mma_tile.cuh>
#include <kernels/common/vec8.cuh>
#include <kernels/grouped_gemm/grouped_gemm.hpp>

/// Persistent blocks walk the tiles of all experts; the walk needs only the counts on the device.
namespace traincost::kernels::grouped_gemm {
namespace {

using mma::kTile;
using mma::Major;
using mma::Operand;

constexpr int kBlocksPerSm = 2;
// Blocks that run together cover a patch about this wide, so that both operands are shared through L2.
constexpr int kBandTiles = 12;

struct Tile {
  int expert, row, column;  // row and column in elements
};

/// Tile `index` of an expert with rows x columns tiles: bands of kBandTiles columns, along the band's rows first.
__device__ __forceinline__ Tile tile_at(int expert, std::int64_t index, int rows, int columns) {
  const int band = static_cast<int>(index / (static_cast<std::int64_t>(rows) * kBandTiles));
  const int within = static_cast<int>(index - static_cast<std::int64_t>(band) * rows * kBandTiles);
  const int width = min(kBandTiles, columns - band * kBandTiles);
  return {expert, within / width * kTile, (band * kBandTiles + within % width) * kTile};
}

__device__ __forceinline__ int tiles(int elements) { return (elements + kTile - 1) / kTile; }

/// Calls visit(tile) for this block's share of the tiles [counts[e], columns] of all experts.
template <class Visit>
__device__ __forceinline__ void for_each_row_tile(const int* counts, int num_experts, int columns, Visit visit) {
  std::int64_t next = blockIdx.x;
  std::int64_t first = 0;  // of the expert
  for (int e = 0; e < num_experts; ++e) {
    const int rows = tiles(counts[e]);
    const std::int64_t end = first + static_cast<std::int64_t>(rows) * tiles(columns);
    for (; next < end; next += gridDim.x) visit(tile_at(e, next - first, rows, tiles(columns)));
    first = end;
  }
}

__device__ __forceinline__ std::uint32_t stages() {
  extern __shared__ uint4 dynamic_shared[];
  return ptx::shared_address(dynamic_shared);
}

/// output rows [counts, columns] of a[rows, depth] times the expert's b, whose memory is [columns, depth] (reduction
/// major) or [depth, columns] (outer major).
template <Major kMajorB>
__device__ __forceinline__ void multiply_rows(const Shape& s, const int* first_row, const int* counts,
                                              const __nv_bfloat16* a, const __nv_bfloat16* b, __nv_bfloat16* output,
                                              int columns, int depth) {
  for_each_row_tile(counts, s.num_experts, columns, [&](const Tile& t) {
    const std::int64_t first = first_row[t.expert];
    const int rows = counts[t.expert];
    const Operand of_rows{a + row_offset(first, depth), depth, t.row, rows, depth};
    const Operand of_weight{b + row_offset(t.expert, row_offset(columns, depth)),
                            kMajorB == Major::reduction ? depth : columns, t.column, columns, depth};
    const mma::Accumulator acc = mma::multiply<Major::reduction, kMajorB>(of_rows, of_weight, stages());
    mma::for_each_pair(acc, [&](int row, int column, float low, float high) {
      const int r = t.row + row;
      const int c = t.column + column;
      if (r < rows && c < columns)
        *reinterpret_cast<std::uint32_t*>(output + row_offset(first + r, columns) + c) = pack_bf16(low, high);
    });
  });
}

__global__ void __launch_bounds__(mma::kThreads, kBlocksPerSm) forward_kernel(ForwardParams p) {
  multiply_rows<Major::reduction>(p.shape, p.first_row, p.counts, p.input, p.weight, p.output, p.shape.n, p.shape.k);
}

__global__ void __launch_bounds__(mma::kThreads, kBlocksPerSm) input_gradient_kernel(InputGradientParams p) {
  multiply_rows<Major::outer>(p.shape, p.first_row, p.counts, p.grad_output, p.weight, p.grad_input, p.shape.k,
                              p.shape.n);
}

__global__ void __launch_bounds__(mma::kThreads, kBlocksPerSm) weight_gradient_kernel(WeightGradientParams p) {
  const Shape& s = p.shape;
  const int rows = tiles(s.n);
  const int columns = tiles(s.k);
  const std::int64_t per_expert = static_cast<std::int64_t>(rows) * columns;
  for (std::int64_t index = blockIdx.x; index < per_expert * s.num_experts; index += gridDim.x) {
    const Tile t = tile_at(static_cast<int>(index / per_expert), index % per_expert, rows, columns);
    const std::int64_t first = p.first_row[t.expert];
    const int depth = p.counts[t.expert];
    const Operand of_grad{p.grad_output + row_offset(first, s.n), s.n, t.row, s.n, depth};
    const Operand of_input{p.input + row_offset(first, s.k), s.k, t.column, s.k, depth};
    const mma::Accumulator acc = mma::multiply<Major::outer, Major::outer>(of_grad, of_input, stages());
    float* grad_weight = p.grad_weight + row_offset(t.expert, row_offset(s.n, s.k));
    mma::for_each_pair(acc, [&](int row, int column, float low, float high) {
      if (t.row + row >= s.n || t.column + column >= s.k) return;
      auto* at = reinterpret_cast<float2*>(grad_weight + row_offset(t.row + row, s.k) + t.column + column);
      const float2 before = p.is_accumulated ? *at : make_float2(0, 0);
      *at = make_float2(before.x + low, before.y + high);
    });
  }
}

/// A grid of at most one resident wave.
template <class P>
void start(void (*kernel)(P), const P& p, std::int64_t max_tiles, cudaStream_t stream) {
  if (max_tiles == 0) return;
  const auto blocks = static_cast<unsigned>(std::min<std::int64_t>(max_tiles, kBlocksPerSm * sm_count()));
  launch_kernel(kernel, {blocks, mma::kThreads, mma::kSharedBytes, stream}, p);
}

/// Each expert may begin one more tile than its rows fill.
std::int64_t max_row_tiles(const Shape& s, int columns) {
  const std::int64_t experts = std::min<std::int64_t>(s.num_experts, s.max_rows);
  return (s.max_rows / kTile + experts) * ceil_div(columns, kTile);
}

}  // namespace

void launch(const ForwardParams& params, cudaStream_t stream) {
  validate(params.shape);
  start(forward_kernel, params, max_row_tiles(params.shape, params.shape.n), stream);
}

void launch(const InputGradientParams& params, cudaStream_t stream) {
  validate(params.shape);
  start(input_gradient_kernel, params, max_row_tiles(params.shape, params.shape.k), stream);
}

void launch(const WeightGradientParams& params, cudaStream_t stream) {
  validate(params.shape);
  const Shape& s = params.shape;
  start(weight_gradient_kernel, params, s.num_experts * ceil_div(s.n, kTile) * ceil_div(s.k, kTile), stream);
}

}  // namespace traincost::kernels::grouped_gemm
