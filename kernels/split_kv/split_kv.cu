#include <kernels/common/address.hpp>
#include <kernels/common/cuda_check.hpp>
#include <kernels/common/reduce.cuh>
#include <kernels/common/vec8.cuh>
#include <kernels/split_kv/split_kv.hpp>

namespace traincost::kernels::split_kv {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;

/// The line of all sequences, each kOverheadPages + pages units long, in `parts` equal parts.
struct Line {
  std::int64_t units;
  int parts;

  __device__ __forceinline__ std::int64_t begin(int part) const { return part * units / parts; }
  __device__ __forceinline__ int part_of(std::int64_t unit) const {
    return static_cast<int>(((unit + 1) * parts - 1) / units);
  }
};

__device__ __forceinline__ int units_of(const PlanParams& p, int sequence) {
  return sequence < p.b ? kOverheadPages + pages(p.lengths[sequence]) : 0;
}

/// Sum over the block of a value per thread; every thread gets it.
__device__ __forceinline__ int block_sum(int x, int* shared) {
  const int inclusive = block_inclusive_sum<kThreads>(x, shared);
  __shared__ int total;
  if (threadIdx.x == kThreads - 1) total = inclusive;
  __syncthreads();
  const int sum = total;
  __syncthreads();
  return sum;
}

/// The cuts that fall on this sequence; each ends one part and begins the next.
__device__ __forceinline__ void cut(const PlanParams& p, const Line& line, int sequence, std::int64_t begin,
                                    int units) {
  for (int part = static_cast<int>(ceil_div(begin * line.parts, line.units)); part < line.parts; ++part) {
    const std::int64_t at = line.begin(part) - begin;
    if (at >= units) return;
    const int page = max(0, static_cast<int>(at) - kOverheadPages);
    p.parts[part].begin_sequence = sequence;
    p.parts[part].begin_page = page;
    if (part == 0) continue;
    p.parts[part - 1].end_sequence = sequence;
    p.parts[part - 1].end_page = page;
  }
}

__global__ void __launch_bounds__(kThreads) plan_kernel(PlanParams p) {
  __shared__ int shared[kWarps];
  const int thread = static_cast<int>(threadIdx.x);
  int mine = 0;
  for (int s = thread; s < p.b; s += kThreads) mine += units_of(p, s);
  const std::int64_t total = block_sum(mine, shared);
  const auto worthwhile = static_cast<int>(ceil_div(total, kMinPagesPerPart));
  const Line line{total, min(p.num_parts, worthwhile)};
  std::int64_t before = 0;
  int slots_before = 0;
  for (int first = 0; first < p.b; first += kThreads) {
    const int s = first + thread;
    const int units = units_of(p, s);
    const int end = block_inclusive_sum<kThreads>(units, shared);
    __syncthreads();
    const std::int64_t begin = before + end - units;
    int slots = 0;
    if (s < p.b) {
      const int first_part = line.part_of(begin + kOverheadPages);
      const int last_part = line.part_of(begin + units - 1);
      slots = last_part > first_part ? last_part - first_part + 1 : 0;
      p.first_part[s] = first_part;
      cut(p, line, s, begin, units);
    }
    const int slots_end = block_inclusive_sum<kThreads>(slots, shared);
    __syncthreads();
    if (s < p.b) p.slot_begin[s + 1] = slots_before + slots_end;
    before += block_sum(units, shared);
    slots_before += block_sum(slots, shared);
  }
  // The last part ends behind the last sequence; parts that are not worth while are empty.
  for (int part = line.parts - 1 + thread; part < p.num_parts; part += kThreads) {
    if (part >= line.parts) p.parts[part].begin_sequence = p.b, p.parts[part].begin_page = 0;
    p.parts[part].end_sequence = p.b;
    p.parts[part].end_page = 0;
  }
  if (thread == 0) p.slot_begin[0] = 0;
}

/// A block per query row; each thread keeps four columns.
template <int kColumns>
__global__ void __launch_bounds__(kColumns / 4) combine_kernel(CombineParams p) {
  const int sequence = static_cast<int>(blockIdx.y);
  const int begin = p.plan.slot_begin[sequence];
  const int end = p.plan.slot_begin[sequence + 1];
  if (begin == end) return;
  const int row = static_cast<int>(blockIdx.x);
  const auto lse_at = [&](int slot) { return p.partial_lse[row_offset(slot, p.rows) + row]; };
  float largest = -INFINITY;
  for (int slot = begin; slot < end; ++slot) largest = fmaxf(largest, lse_at(slot));
  const float base = largest == -INFINITY ? 0.0F : largest;
  float sum = 0;
  float4 acc = make_float4(0, 0, 0, 0);
#pragma unroll 4
  for (int slot = begin; slot < end; ++slot) {
    const float weight = expf(lse_at(slot) - base);
    const float4 x = reinterpret_cast<const float4*>(p.partial_out +
                                                     row_offset(row_offset(slot, p.rows) + row, kColumns))[threadIdx.x];
    sum += weight;
    acc = make_float4(acc.x + weight * x.x, acc.y + weight * x.y, acc.z + weight * x.z, acc.w + weight * x.w);
  }
  const float scale = sum == 0 ? 0.0F : 1 / sum;
  const std::int64_t out_row = row_offset(sequence, p.rows) + row;
  reinterpret_cast<uint2*>(p.out + row_offset(out_row, kColumns))[threadIdx.x] =
      make_uint2(pack_bf16(acc.x * scale, acc.y * scale), pack_bf16(acc.z * scale, acc.w * scale));
  if (threadIdx.x == 0) p.lse[out_row] = sum == 0 ? -INFINITY : base + logf(sum);
}

}  // namespace

void launch(const PlanParams& params, cudaStream_t stream) {
  validate(params);
  plan_kernel<<<1, kThreads, 0, stream>>>(params);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

void launch(const CombineParams& params, cudaStream_t stream) {
  validate(params);
  const dim3 blocks(static_cast<unsigned>(params.rows), static_cast<unsigned>(params.b));
  if (params.d_v == 128)
    combine_kernel<128><<<blocks, 128 / 4, 0, stream>>>(params);
  else
    combine_kernel<512><<<blocks, 512 / 4, 0, stream>>>(params);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::split_kv
