#pragma once

#include <kernels/common/tensor_map.hpp>
#include <kernels/common/tiles_sm90.cuh>
#include <kernels/grouped_gemm/sm90/grouped_gemm_sm90.hpp>

/// The kernels of the three passes, for bf16 and for fp8.
namespace traincost::kernels::grouped_gemm::sm90 {

namespace core = gemm_sm90;
using core::Order;

/// Tensor maps of both operands and, in fp8, of their scales.
struct Operands {
  CUtensorMap a, b;
  CUtensorMap a_scales{}, b_scales{};

  __device__ __forceinline__ core::Maps maps() const { return {&a, &b, &a_scales, &b_scales}; }
};

struct RowsArgs {
  core::Experts experts;
  int columns, depth;
  const float* weight_scales;  // [experts, columns / 128, depth / 128], rounded up; bf16: nullptr
  __nv_bfloat16* output;       // [rows, columns]
};

struct WeightArgs {
  core::Experts experts;
  int rows, columns;  // of an expert's gradient
  bool adds;
  float* output;  // [experts, rows, columns]
};

__device__ __forceinline__ core::BlockScales scales_of(const RowsArgs& args, const core::Tile& t) {
  const int across = core::tiles(args.columns, core::kScaleBlock);
  const int steps = core::tiles(args.depth, core::kScaleBlock);
  const int block = min(t.column / core::kScaleBlock, across - 1);  // a tile may lie behind the columns
  const float* first = args.weight_scales + row_offset(row_offset(t.expert, across) + block, steps);
  return {first, block + 1 < across ? first + steps : first, t.column % core::kScaleBlock != 0};
}

/// output rows of each expert = its rows of a, times its b.
template <class S>
__global__ void __launch_bounds__(core::kThreads, 1)
    rows_kernel(const __grid_constant__ Operands operands, RowsArgs args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ uint4 dynamic[];
  const core::Shared<S> shared(dynamic);
  core::init_barriers(shared);
  core::Turn<S::kStages> turn;
  const int steps = core::tiles(args.depth, S::kBlockK);
  core::specialise(
      [&] {
        core::for_each_row_tile<S::kBlockN>(args.experts, args.columns, [&](const core::Tile& t) {
          core::produce(shared, turn, operands.maps(), {args.experts.first(t.expert) + t.row, t.column, t.expert, 0},
                        steps);
        });
      },
      [&] {
        core::for_each_row_tile<S::kBlockN>(args.experts, args.columns, [&](const core::Tile& t) {
          core::Accumulator<S> acc;
          if constexpr (S::kScales == core::Scales::none)
            core::consume(shared, turn, acc, steps, S::kBlockK);
          else
            core::consume_scaled(shared, turn, acc, steps, scales_of(args, t));
          const std::int64_t row = args.experts.first(t.expert) + t.row;
          core::store(shared, acc,
                      core::Output<__nv_bfloat16>{args.output + row_offset(row, args.columns) + t.column, args.columns,
                                                  args.experts.rows_of(t.expert) - t.row, args.columns - t.column});
        });
      });
#endif
}

/// Each expert's gradient: the reduction runs over its rows.
template <class S>
__global__ void __launch_bounds__(core::kThreads, 1)
    weight_gradient_kernel(const __grid_constant__ Operands operands, WeightArgs args) {
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
  extern __shared__ uint4 dynamic[];
  const core::Shared<S> shared(dynamic);
  core::init_barriers(shared);
  core::Turn<S::kStages> turn;
  const auto for_each_tile = [&](auto visit) {
    core::for_each_matrix_tile<S::kBlockN>(args.experts.count, args.rows, args.columns, [&](const core::Tile& t) {
      visit(t, core::tiles(args.experts.rows_of(t.expert), S::kBlockK));
    });
  };
  core::specialise(
      [&] {
        for_each_tile([&](const core::Tile& t, int steps) {
          core::produce(shared, turn, operands.maps(), {t.row, t.column, 0, args.experts.first(t.expert)}, steps);
        });
      },
      [&] {
        for_each_tile([&](const core::Tile& t, int steps) {
          core::Accumulator<S> acc;
          if constexpr (S::kScales == core::Scales::none)
            core::consume(shared, turn, acc, steps, args.experts.rows_of(t.expert) - (steps - 1) * S::kBlockK);
          else
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

inline core::Experts experts(const Shape& s, const int* first_row, const int* counts, std::int64_t rows) {
  return {s.num_experts, first_row, counts, static_cast<int>(rows / s.num_experts)};
}

inline std::int64_t max_row_tiles(const Shape& s) {
  return s.max_rows / core::kBlockM + std::min<std::int64_t>(s.num_experts, s.max_rows);
}

/// A map of rows that lie one behind the other, or of `batches` such matrices.
template <class T>
CUtensorMap dense_map(const T* data, std::int64_t rows, std::int64_t columns, std::int64_t batches, int box_rows,
                      int box_columns) {
  return tensor_map(data, {.rows = rows,
                           .columns = columns,
                           .stride = columns,
                           .batches = batches,
                           .box_rows = box_rows,
                           .box_columns = box_columns});
}

}  // namespace traincost::kernels::grouped_gemm::sm90
