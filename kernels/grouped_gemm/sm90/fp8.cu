#include <kernels/grouped_gemm/sm90/passes.cuh>

/// fp8 on wgmma. Both operands lie along the reduction, for bytes are never transposed.
namespace traincost::kernels::grouped_gemm::sm90 {
namespace {

// Shared memory feeds both operands: with 192 columns it is busy for little longer than the tensor cores, with 128 it
// decides. More columns leave no registers for the scaled sums.
constexpr int kBlockN = 192;
using Rows = core::Spec<core::E4m3, kBlockN, Order::reduction, Order::reduction, core::Scales::block>;
using Weight = core::Spec<core::E4m3, kBlockN, Order::reduction, Order::reduction, core::Scales::rows>;

/// Rows of codes along the reduction.
CUtensorMap code_map(const std::uint8_t* data, std::int64_t rows, std::int64_t columns, std::int64_t batches,
                     int box_rows) {
  return dense_map(data, rows, columns, batches, box_rows, core::kRowBytes);
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
  const std::int64_t blocks = ceil_div(s.k, core::kScaleBlock);
  core::start<Rows>(rows_kernel<Rows>, max_row_tiles(s), s.n, stream,
                    Operands{.a = code_map(p.input, p.rows, s.k, 0, core::kBoxOuter),
                             .b = code_map(p.weight, s.n, s.k, s.num_experts, kBlockN),
                             .a_scales = scale_map(p.input_scales, blocks, p.rows, p.scale_stride, core::kBlockM)},
                    RowsArgs{experts(s, p.first_row, p.counts, p.rows), s.n, s.k, p.weight_scales, p.output});
}

void launch(const Fp8WeightGradientParams& p, cudaStream_t stream) {
  validate(p);
  const Shape& s = p.shape;
  const std::int64_t blocks = p.rows / core::kScaleBlock;
  core::start<Weight>(weight_gradient_kernel<Weight>, s.num_experts * ceil_div(s.n, core::kBlockM), s.k, stream,
                      Operands{.a = code_map(p.grad_output, s.n, p.rows, 0, core::kBoxOuter),
                               .b = fours_map(p.input, {.rows = s.k,
                                                        .columns = p.rows,
                                                        .stride = p.rows,
                                                        .box_rows = kBlockN / 2,
                                                        .box_columns = core::kRowBytes}),
                               .a_scales = scale_map(p.grad_scales, blocks, s.n, s.n, core::kBlockM),
                               .b_scales = scale_map(p.input_scales, blocks, s.k, s.k, kBlockN)},
                      WeightArgs{experts(s, p.first_row, p.counts, p.rows), s.n, s.k, p.is_accumulated, p.grad_weight});
}

}  // namespace traincost::kernels::grouped_gemm::sm90
