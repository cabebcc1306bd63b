#include <kernels/common/tensor_map.hpp>
#include <kernels/common/tiles_sm90.cuh>
#include <kernels/grouped_gemm/sm90/grouped_gemm_sm90.hpp>

/// bf16 on wgmma. No operand is transposed in memory: the tensor core takes either order from shared memory.
namespace traincost::kernels::grouped_gemm::sm90 {
namespace {

namespace core = gemm_sm90;
using core::Order;
using Bf16 = __nv_bfloat16;

constexpr int kBlockN = 256;
using Forward = core::Spec<Bf16, kBlockN, Order::reduction, Order::reduction, core::Scales::none>;
using InputGradient = core::Spec<Bf16, kBlockN, Order::reduction, Order::outer, core::Scales::none>;
using WeightGradient = core::Spec<Bf16, kBlockN, Order::outer, Order::outer, core::Scales::none>;

struct RowsArgs {
  core::Experts experts;
  int columns, depth;
  Bf16* output;  // [rows, columns]
};

/// output rows of each expert = its rows of a, times its b.
template <class S>
__global__ void __launch_bounds__(core::kThreads, 1)
    rows_kernel(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b, RowsArgs args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ uint4 dynamic[];
  const core::Shared<S> shared(dynamic);
  core::init_barriers(shared);
  core::Turn<S::kStages> turn;
  const int steps = core::tiles(args.depth, S::kBlockK);
  core::specialise(
      [&] {
        core::for_each_row_tile<kBlockN>(args.experts, args.columns, [&](const core::Tile& t) {
          core::produce(shared, turn, {&a, &b, nullptr, nullptr},
                        {args.experts.first(t.expert) + t.row, t.column, t.expert, 0}, steps);
        });
      },
      [&] {
        core::for_each_row_tile<kBlockN>(args.experts, args.columns, [&](const core::Tile& t) {
          core::Accumulator<S> acc;
          core::consume(shared, turn, acc, steps, S::kBlockK);
          const std::int64_t row = args.experts.first(t.expert) + t.row;
          core::store(shared, acc,
                      core::Output<Bf16>{args.output + row_offset(row, args.columns) + t.column, args.columns,
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

/// Each expert's gradient: the reduction runs over its rows.
template <class S>
__global__ void __launch_bounds__(core::kThreads, 1)
    weight_gradient_kernel(const __grid_constant__ CUtensorMap a, const __grid_constant__ CUtensorMap b,
                           WeightArgs args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ uint4 dynamic[];
  const core::Shared<S> shared(dynamic);
  core::init_barriers(shared);
  core::Turn<S::kStages> turn;
  const auto for_each_tile = [&](auto visit) {
    core::for_each_matrix_tile<kBlockN>(args.experts.count, args.rows, args.columns, visit);
  };
  core::specialise(
      [&] {
        for_each_tile([&](const core::Tile& t) {
          core::produce(shared, turn, {&a, &b, nullptr, nullptr}, {t.row, t.column, 0, args.experts.first(t.expert)},
                        core::tiles(args.experts.rows_of(t.expert), S::kBlockK));
        });
      },
      [&] {
        for_each_tile([&](const core::Tile& t) {
          const int depth = args.experts.rows_of(t.expert);
          const int steps = core::tiles(depth, S::kBlockK);
          core::Accumulator<S> acc;
          core::consume(shared, turn, acc, steps, depth - (steps - 1) * S::kBlockK);
          const std::int64_t row = row_offset(t.expert, args.rows) + t.row;
          core::store(acc,
                      core::Output<float>{args.output + row_offset(row, args.columns) + t.column, args.columns,
                                          args.rows - t.row, args.columns - t.column},
                      args.adds);
        });
      });
#endif
}

core::Experts experts(const Shape& s, const int* first_row, const int* counts, std::int64_t rows) {
  return {s.num_experts, first_row, counts, static_cast<int>(rows / s.num_experts)};
}

std::int64_t max_row_tiles(const Shape& s) {
  return s.max_rows / core::kBlockM + std::min<std::int64_t>(s.num_experts, s.max_rows);
}

/// Rows of tokens, of which a block copies half a tile's rows and 64 columns.
CUtensorMap row_map(const Bf16* data, std::int64_t rows, int columns) {
  return tensor_map(data, {.rows = rows,
                           .columns = columns,
                           .stride = columns,
                           .box_rows = core::kBoxOuter,
                           .box_columns = Forward::kBlockK});
}

CUtensorMap across_map(const Bf16* data, std::int64_t rows, int columns, std::int64_t batches) {
  return tensor_map(data, {.rows = rows,
                           .columns = columns,
                           .stride = columns,
                           .batches = batches,
                           .box_rows = Forward::kBlockK,
                           .box_columns = core::kBoxOuter});
}

}  // namespace

void launch(const ForwardParams& p, std::int64_t rows, cudaStream_t stream) {
  validate_rows(p.shape, rows);
  if (rows == 0) return;
  const Shape& s = p.shape;
  const CUtensorMap weight = tensor_map(p.weight, {.rows = s.n,
                                                   .columns = s.k,
                                                   .stride = s.k,
                                                   .batches = s.num_experts,
                                                   .box_rows = kBlockN,
                                                   .box_columns = Forward::kBlockK});
  core::start<Forward>(rows_kernel<Forward>, max_row_tiles(s), s.n, stream, row_map(p.input, rows, s.k), weight,
                       RowsArgs{experts(s, p.first_row, p.counts, rows), s.n, s.k, p.output});
}

void launch(const InputGradientParams& p, std::int64_t rows, cudaStream_t stream) {
  validate_rows(p.shape, rows);
  if (rows == 0) return;
  const Shape& s = p.shape;
  core::start<InputGradient>(rows_kernel<InputGradient>, max_row_tiles(s), s.k, stream,
                             row_map(p.grad_output, rows, s.n), across_map(p.weight, s.n, s.k, s.num_experts),
                             RowsArgs{experts(s, p.first_row, p.counts, rows), s.k, s.n, p.grad_input});
}

void launch(const WeightGradientParams& p, std::int64_t rows, cudaStream_t stream) {
  validate_rows(p.shape, rows);
  const Shape& s = p.shape;
  // Without any row there is nothing to map, and every gradient is zero.
  const std::int64_t mapped = std::max<std::int64_t>(rows, 1);
  core::start<WeightGradient>(
      weight_gradient_kernel<WeightGradient>, s.num_experts * ceil_div(s.n, core::kBlockM), s.k, stream,
      across_map(p.grad_output, mapped, s.n, 0), across_map(p.input, mapped, s.k, 1),
      WeightArgs{experts(s, p.first_row, p.counts, rows), s.n, s.k, p.is_accumulated, p.grad_weight});
}

}  // namespace traincost::kernels::grouped_gemm::sm90
