#include <kernels/grouped_gemm/sm90/passes.cuh>

/// bf16 on wgmma. No operand is transposed in memory: the tensor core takes either order from shared memory.
namespace traincost::kernels::grouped_gemm::sm90 {
namespace {

using Bf16 = __nv_bfloat16;

constexpr int kBlockN = 256;
using Forward = core::Spec<Bf16, kBlockN, Order::reduction, Order::reduction, core::Scales::none>;
using InputGradient = core::Spec<Bf16, kBlockN, Order::reduction, Order::outer, core::Scales::none>;
using WeightGradient = core::Spec<Bf16, kBlockN, Order::outer, Order::outer, core::Scales::none>;

/// Rows of tokens, of which a block copies half a tile's rows and 64 columns.
CUtensorMap row_map(const Bf16* data, std::int64_t rows, int columns) {
  return dense_map(data, rows, columns, 0, core::kBoxOuter, Forward::kBlockK);
}

CUtensorMap across_map(const Bf16* data, std::int64_t rows, int columns, std::int64_t batches) {
  return dense_map(data, rows, columns, batches, Forward::kBlockK, core::kBoxOuter);
}

}  // namespace

void launch(const ForwardParams& p, std::int64_t rows, cudaStream_t stream) {
  validate_rows(p.shape, rows);
  if (rows == 0) return;
  const Shape& s = p.shape;
  core::start<Forward>(rows_kernel<Forward>, max_row_tiles(s), s.n, stream,
                       Operands{.a = row_map(p.input, rows, s.k),
                                .b = dense_map(p.weight, s.n, s.k, s.num_experts, kBlockN, Forward::kBlockK)},
                       RowsArgs{experts(s, p.first_row, p.counts, rows), s.n, s.k, nullptr, p.output});
}

void launch(const InputGradientParams& p, std::int64_t rows, cudaStream_t stream) {
  validate_rows(p.shape, rows);
  if (rows == 0) return;
  const Shape& s = p.shape;
  core::start<InputGradient>(
      rows_kernel<InputGradient>, max_row_tiles(s), s.k, stream,
      Operands{.a = row_map(p.grad_output, rows, s.n), .b = across_map(p.weight, s.n, s.k, s.num_experts)},
      RowsArgs{experts(s, p.first_row, p.counts, rows), s.k, s.n, nullptr, p.grad_input});
}

void launch(const WeightGradientParams& p, std::int64_t rows, cudaStream_t stream) {
  validate_rows(p.shape, rows);
  const Shape& s = p.shape;
  // Without any row there is nothing to map, and every gradient is zero.
  const std::int64_t mapped = std::max<std::int64_t>(rows, 1);
  core::start<WeightGradient>(
      weight_gradient_kernel<WeightGradient>, s.num_experts * ceil_div(s.n, core::kBlockM), s.k, stream,
      Operands{.a = across_map(p.grad_output, mapped, s.n, 0), .b = across_map(p.input, mapped, s.k, 1)},
      WeightArgs{experts(s, p.first_row, p.counts, rows), s.n, s.k, p.is_accumulated, p.grad_weight});
}

}  // namespace traincost::kernels::grouped_gemm::sm90
