#include <kernels/common/tensor_map.hpp>
#include <kernels/common/tiles_sm90.cuh>
#include <kernels/grouped_gemm/sm90/grouped_gemm_sm90.hpp>

/// fp8 on wgmma. Both operands lie along the reduction, for bytes are never transposed.
namespace traincost::kernels::grouped_gemm::sm90 {
namespace {

namespace core = gemm_sm90;
using core::Order;

// Shared memory feeds both operands: with 192 columns it is busy for little longer than the tensor cores, with 128 it
// decides. More columns leave no registers for the scaled sums.
constexpr int kBlockN = 192;
using Rows = core::Spec<core::E4m3, kBlockN, Order::reduction, Order::reduction, core::Scales::block>;
using Weight = core::Spec<core::E4m3, kBlockN, Order::reduction, Order::reduction, core::Scales::rows>;

struct RowsArgs {
  core::Experts experts;
  int columns, depth;
  const float* weight_scales;  // [experts, columns / 128, depth / 128], rounded up
  __nv_bfloat16* output;       // [rows, columns]
};

[[maybe_unused]] __device__ __forceinline__ core::BlockScales scales_of(const RowsArgs& args, const core::Tile& t) {
  const int across = core::tiles(args.columns, core::kScaleBlock);
  const int steps = core::tiles(args.depth, core::kScaleBlock);
  const int block = min(t.column / core::kScaleBlock, across - 1);  // a tile may lie behind the columns
  const float* first = args.weight_scales + row_offset(row_offset(t.expert, across) + block, steps);
  return {first, block + 1 < across ? first + steps : first, t.column % core::kScaleBlock != 0};
}

__global__ void __launch_bounds__(core::kThreads, 1)
    fp8_rows_kernel(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b,
                    const __grid_constant__ CUtensorMap a_scales, RowsArgs args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ uint4 dynamic[];
  const core::Shared<Rows> shared(dynamic);
  core::init_barriers(shared);
  core::Turn<Rows::kStages> turn;
  const int steps = core::tiles(args.depth, Rows::kBlockK);
  core::specialise(
      [&] {
        core::for_each_row_tile<kBlockN>(args.experts, args.columns, [&](const core::Tile& t) {
          core::produce(shared, turn, {&a, &b, &a_scales, nullptr},
                        {args.experts.first(t.expert) + t.row, t.column, t.expert, 0}, steps);
        });
      },
      [&] {
        core::for_each_row_tile<kBlockN>(args.experts, args.columns, [&](const core::Tile& t) {
          core::Accumulator<Rows> acc;
          core::consume_scaled(shared, turn, acc, steps, scales_of(args, t));
          const std::int64_t row = args.experts.first(t.expert) + t.row;
          core::store(shared, acc,
                      core::Output<__nv_bfloat16>{args.output + row_offset(row, args.columns) + t.column, args.columns,
                                                  args.experts.rows_of(t.expert) - t.row, args.columns - t.column});
        });
      });
#endif
}

struct WeightArgs {
  core::Experts experts;
  int rows, columns;  // of an expert's gradient
  bool adds;
  float* output;  // [experts, rows, columns]
};

__global__ void __launch_bounds__(core::kThreads, 1)
    fp8_weight_gradient_kernel(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b,
                               const __grid_constant__ CUtensorMap a_scales,
                               const __grid_constant__ CUtensorMap b_scales, WeightArgs args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ uint4 dynamic[];
  const core::Shared<Weight> shared(dynamic);
  core::init_barriers(shared);
  core::Turn<Weight::kStages> turn;
  const auto for_each_tile = [&](auto visit) {
    core::for_each_matrix_tile<kBlockN>(args.experts.count, args.rows, args.columns, [&](const core::Tile& t) {
      visit(t, core::tiles(args.experts.rows_of(t.expert), Weight::kBlockK));
    });
  };
  core::specialise(
      [&] {
        for_each_tile([&](const core::Tile& t, int steps) {
          core::produce(shared, turn, {&a, &b, &a_scales, &b_scales},
                        {t.row, t.column, 0, args.experts.first(t.expert)}, steps);
        });
      },
      [&] {
        for_each_tile([&](const core::Tile& t, int steps) {
          core::Accumulator<Weight> acc;
          core::consume_scaled(shared, turn, acc, steps, {});
          const std::int64_t row = row_offset(t.expert, args.rows) + t.row;
          core::store(acc,
                      core::Output<float>{args.output + row_offset(row, args.columns) + t.column, args.columns,
                                          args.rows - t.row, args.columns - t.column},
                      args.adds);
        });
      });
#endif
}

/// Rows of codes along the reduction.
CUtensorMap code_map(const std::uint8_t* data, std::int64_t rows, std::int64_t columns, std::int64_t batches,
                     int box_rows) {
  return tensor_map(data, {.rows = rows,
                           .columns = columns,
                           .stride = columns,
                           .batches = batches,
                           .box_rows = box_rows,
                           .box_columns = core::kRowBytes});
}

CUtensorMap scale_map(const float* data, std::int64_t blocks, std::int64_t columns, std::int64_t stride,
                      int box_columns) {
  return tensor_map(data, {.rows = blocks,
                           .columns = columns,
                           .stride = stride,
                           .box_rows = 1,
                           .box_columns = box_columns,
                           .swizzle = CU_TENSOR_MAP_SWIZZLE_NONE});
}

}  // namespace

void launch(const Fp8Params& p, cudaStream_t stream) {
  validate(p);
  if (p.rows == 0) return;
  const Shape& s = p.shape;
  const std::int64_t experts = std::min<std::int64_t>(s.num_experts, s.max_rows);
  core::start<Rows>(fp8_rows_kernel, s.max_rows / core::kBlockM + experts, s.n, stream,
                    code_map(p.input, p.rows, s.k, 0, core::kBoxOuter),
                    code_map(p.weight, s.n, s.k, s.num_experts, kBlockN),
                    scale_map(p.input_scales, ceil_div(s.k, core::kScaleBlock), p.rows, p.scale_stride, core::kBlockM),
                    RowsArgs{{s.num_experts, p.first_row, p.counts, static_cast<int>(p.rows / s.num_experts)},
                             s.n,
                             s.k,
                             p.weight_scales,
                             p.output});
}

void launch(const Fp8WeightGradientParams& p, cudaStream_t stream) {
  validate(p);
  const Shape& s = p.shape;
  const std::int64_t blocks = p.rows / core::kScaleBlock;
  core::start<Weight>(
      fp8_weight_gradient_kernel, s.num_experts * ceil_div(s.n, core::kBlockM), s.k, stream,
      code_map(p.grad_output, s.n, p.rows, 0, core::kBoxOuter), code_map(p.input, s.k, p.rows, 1, kBlockN),
      scale_map(p.grad_scales, blocks, s.n, s.n, core::kBlockM), scale_map(p.input_scales, blocks, s.k, s.k, kBlockN),
      WeightArgs{{s.num_experts, p.first_row, p.counts, static_cast<int>(p.rows / s.num_experts)},
                 s.n,
                 s.k,
                 p.is_accumulated,
                 p.grad_weight});
}

}  // namespace traincost::kernels::grouped_gemm::sm90
