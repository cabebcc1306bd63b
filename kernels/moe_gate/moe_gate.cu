#include <cuda_bf16.h>

#include <algorithm>
#include <climits>

#include <kernels/common/address.hpp>
#include <kernels/common/cuda_check.hpp>
#include <kernels/common/device.hpp>
#include <kernels/common/reduce.cuh>
#include <kernels/moe_gate/moe_gate.hpp>
#include <kernels/moe_gate/scores.hpp>

namespace traincost::kernels::moe_gate {
namespace {

constexpr int kWarps = 8;
constexpr int kThreads = kWarps * kWarpSize;
// Enough resident warps to hide the latency of the loads; more blocks would only flush more histograms.
constexpr int kBlocksPerSm = 4;

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

/// One token's experts over a warp: lane l holds experts l, 32 + l, ... A key of 0 is no candidate.
template <int kPerLane>
struct Row {
  float score[kPerLane];
  std::uint32_t key[kPerLane];
};

struct Best {
  std::uint32_t key;
  int id;
  float lane_score;  // of this lane's own best; lane id % 32 holds the warp's
};

__device__ __forceinline__ Best warp_best(std::uint32_t key, int id, float score) {
  const std::uint32_t best = __reduce_max_sync(kFullMask, key);
  return {best, __reduce_min_sync(kFullMask, key == best ? id : INT_MAX), score};
}

/// The best candidate of the warp in the total order, among the lane's experts that `keep` allows.
template <int kPerLane, class Keep>
__device__ __forceinline__ Best warp_best(const Row<kPerLane>& row, int lane, Keep keep) {
  std::uint32_t key = 0;
  int id = lane;
  float score = 0;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    const bool better = row.key[i] > key && keep(i);
    key = better ? row.key[i] : key;
    id = better ? i * kWarpSize + lane : id;
    score = better ? row.score[i] : score;
  }
  return warp_best(key, id, score);
}

template <int kPerLane, class Logit>
__device__ __forceinline__ Row<kPerLane> load_row(const Logit* logits, const Shape& s, const float (&bias)[kPerLane],
                                                  int lane) {
  Row<kPerLane> row;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    const int expert = i * kWarpSize + lane;
    const bool exists = expert < s.num_experts;
    row.score[i] = exists ? score_of(to_float(logits[expert]), s.scoring) : -FLT_MAX;
    row.key[i] = exists ? selection_key(row.score[i], bias[i]) : 0;
  }
  return row;
}

/// Leaves only the experts of the best topk_groups groups as candidates.
template <int kPerLane>
__device__ __forceinline__ void keep_best_groups(Row<kPerLane>& row, const Shape& s, const int (&group)[kPerLane],
                                                 int lane) {
  std::uint32_t my_group_key = 0;  // lane g ranks group g
  for (int g = 0; g < s.num_groups; ++g) {
    const Best first = warp_best(row, lane, [&](int i) { return group[i] == g; });
    const Best second = warp_best(row, lane, [&](int i) { return group[i] == g && i * kWarpSize + lane != first.id; });
    if (lane == g) my_group_key = group_key(first.key, second.key);
  }
  unsigned chosen = 0;
  for (int j = 0; j < s.topk_groups; ++j) {
    const int g = warp_best(my_group_key, lane, 0).id;
    chosen |= 1U << g;
    if (lane == g) my_group_key = 0;
  }
#pragma unroll
  for (int i = 0; i < kPerLane; ++i)
    if ((chosen >> group[i] & 1U) == 0) row.key[i] = 0;
}

struct Selected {  // lane j < topk: the expert of rank j
  int id;
  float score;
};

template <int kPerLane>
__device__ __forceinline__ Selected select(Row<kPerLane>& row, const Shape& s, int lane) {
  Selected mine{0, 0};
  for (int j = 0; j < s.topk; ++j) {
    const Best best = warp_best(row, lane, [](int) { return true; });
    const float score = __shfl_sync(kFullMask, best.lane_score, best.id % kWarpSize);
    if (lane == j) mine = {best.id, score};
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) row.key[i] = i * kWarpSize + lane == best.id ? 0 : row.key[i];
  }
  return mine;
}

template <int kPerLane>
__device__ __forceinline__ float row_max(const Row<kPerLane>& row) {
  float largest = -FLT_MAX;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) largest = fmaxf(largest, row.score[i]);
  return warp_max(largest);
}

__device__ __forceinline__ float exp_above(float score, float largest) {
  return score != score ? 0.0F : exact::exp(score - largest);
}

template <int kPerLane>
__device__ __forceinline__ float exp_sum(const Row<kPerLane>& row, int num_experts, float largest, int lane) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kPerLane; ++i)
    if (i * kWarpSize + lane < num_experts) sum += exp_above(row.score[i], largest);
  return warp_sum(sum);
}

__device__ __forceinline__ float quotient(float numerator, float sum) { return sum > 0 ? numerator / sum : 0.0F; }

template <int kPerLane>
__device__ __forceinline__ float weight(const Row<kPerLane>& row, const Shape& s, const Selected& mine, int lane) {
  const bool is_selected = lane < s.topk;
  if (s.scoring == Scoring::sigmoid) {
    const float score = is_selected && mine.score == mine.score ? mine.score : 0.0F;
    return s.scale * quotient(score, warp_sum(score));
  }
  const float largest = row_max(row);
  const float e = is_selected ? exp_above(mine.score, largest) : 0.0F;
  const float sum = s.scoring == Scoring::softmax ? exp_sum(row, s.num_experts, largest, lane) : warp_sum(e);
  return s.scale * quotient(e, sum);
}

template <int kPerLane, class Logit>
__global__ void __launch_bounds__(kThreads) moe_gate_kernel(Params p) {
  __shared__ int histogram[kMaxExperts];
  const Shape& s = p.shape;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  for (int e = static_cast<int>(threadIdx.x); e < s.num_experts; e += kThreads) histogram[e] = 0;

  float bias[kPerLane];
  int group[kPerLane];
#pragma unroll
  for (int i = 0; i < kPerLane; ++i) {
    const int expert = i * kWarpSize + lane;
    bias[i] = p.bias != nullptr && expert < s.num_experts ? p.bias[expert] : 0.0F;
    group[i] = expert < s.num_experts ? expert / (s.num_experts / s.num_groups) : kMaxGroups - 1;
  }
  __syncthreads();

  const auto* logits = static_cast<const Logit*>(p.logits);
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kWarps;
  for (std::int64_t t = static_cast<std::int64_t>(blockIdx.x) * kWarps + warp; t < s.tokens; t += stride) {
    Row<kPerLane> row = load_row<kPerLane>(logits + row_offset(t, s.num_experts), s, bias, lane);
    if (s.num_groups > 1) keep_best_groups(row, s, group, lane);
    const Selected mine = select(row, s, lane);
    const float w = weight(row, s, mine, lane);
    if (lane < s.topk) {
      p.ids[row_offset(t, s.topk) + lane] = mine.id;
      p.weights[row_offset(t, s.topk) + lane] = w;
      atomicAdd(&histogram[mine.id], 1);
    }
  }
  __syncthreads();
  if (p.load == nullptr) return;
  for (int e = static_cast<int>(threadIdx.x); e < s.num_experts; e += kThreads)
    if (histogram[e] != 0) atomicAdd(&p.load[e], histogram[e]);
}

/// The derivative of the weight of rank j by the selected scores gives lane j its gradient; softmax over all experts
/// also gives every other expert -p_e * sum_j(g_j p_j).
template <int kPerLane, class Logit>
__global__ void __launch_bounds__(kThreads, kBlocksPerSm) moe_gate_backward_kernel(BackwardParams p) {
  const Shape& s = p.shape;
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int warp = static_cast<int>(threadIdx.x) / kWarpSize;
  const auto* logits = static_cast<const Logit*>(p.logits);
  const float no_bias[kPerLane] = {};
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * kWarps;
  for (std::int64_t t = static_cast<std::int64_t>(blockIdx.x) * kWarps + warp; t < s.tokens; t += stride) {
    const Logit* token_logits = logits + row_offset(t, s.num_experts);
    const Row<kPerLane> row = load_row<kPerLane>(token_logits, s, no_bias, lane);
    const bool is_selected = lane < s.topk;
    const int my_id = is_selected ? p.ids[row_offset(t, s.topk) + lane] : 0;
    const float g = is_selected ? s.scale * p.grad_weights[row_offset(t, s.topk) + lane] : 0.0F;

    const float score = is_selected ? score_of(to_float(token_logits[my_id]), s.scoring) : 0.0F;
    const bool is_softmax = s.scoring != Scoring::sigmoid;
    const float largest = is_softmax ? row_max(row) : 0.0F;
    const float all = s.scoring == Scoring::softmax ? exp_sum(row, s.num_experts, largest, lane) : 0.0F;
    const bool counts = is_selected && score == score;
    const float part = !counts ? 0.0F : is_softmax ? exp_above(score, largest) : score;
    const float sum = s.scoring == Scoring::softmax ? all : warp_sum(part);
    const float share = quotient(part, sum);  // the weight before the scale
    const float mean = warp_sum(g * share);
    // d share / d logit: softmax's own; a sigmoid's logarithmic derivative is 1 - sigmoid.
    const float mine = share * (g - mean) * (is_softmax ? 1.0F : 1.0F - part);

    float* grad_logits = p.grad_logits + row_offset(t, s.num_experts);
#pragma unroll
    for (int i = 0; i < kPerLane; ++i) {
      const int expert = i * kWarpSize + lane;
      if (expert >= s.num_experts) continue;
      const bool is_in_sum = s.scoring == Scoring::softmax;
      grad_logits[expert] = is_in_sum ? -quotient(exp_above(row.score[i], largest), all) * mean : 0.0F;
    }
    __syncwarp();  // the selected overwrite what another lane has just written
    if (is_selected) grad_logits[my_id] = mine;
  }
}

__global__ void __launch_bounds__(kMaxExperts) bias_update_kernel(BiasUpdateParams p) {
  __shared__ int shared[kMaxExperts / kWarpSize];
  __shared__ int total;
  const int e = static_cast<int>(threadIdx.x);
  const int load = e < p.num_experts ? p.load[e] : 0;
  const int sum = block_inclusive_sum<kMaxExperts>(load, shared);
  if (e == kMaxExperts - 1) total = sum;
  __syncthreads();
  if (e >= p.num_experts) return;
  const std::int64_t above_mean = static_cast<std::int64_t>(load) * p.num_experts - total;
  if (above_mean != 0) p.bias[e] += above_mean < 0 ? p.gamma : -p.gamma;
}

int blocks(std::int64_t tokens) {
  return static_cast<int>(std::min<std::int64_t>(ceil_div(tokens, kWarps), kBlocksPerSm * sm_count()));
}

template <int kPerLane, class Logit>
void start(const Params& p, cudaStream_t stream) {
  moe_gate_kernel<kPerLane, Logit><<<blocks(p.shape.tokens), kThreads, 0, stream>>>(p);
}

template <int kPerLane, class Logit>
void start(const BackwardParams& p, cudaStream_t stream) {
  moe_gate_backward_kernel<kPerLane, Logit><<<blocks(p.shape.tokens), kThreads, 0, stream>>>(p);
}

template <class Logit, class P>
void start_for_experts(const P& p, cudaStream_t stream) {
  const int n = p.shape.num_experts;
  if (n <= 32) return start<1, Logit>(p, stream);
  if (n <= 64) return start<2, Logit>(p, stream);
  if (n <= 128) return start<4, Logit>(p, stream);
  if (n <= 256) return start<8, Logit>(p, stream);
  return start<16, Logit>(p, stream);
}

template <class P>
void start_checked(const P& p, cudaStream_t stream) {
  validate(p.shape);
  if (p.shape.tokens == 0) return;
  if (p.shape.logit_type == LogitType::fp32)
    start_for_experts<float>(p, stream);
  else
    start_for_experts<__nv_bfloat16>(p, stream);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace

void launch(const Params& params, cudaStream_t stream) { start_checked(params, stream); }
void launch(const BackwardParams& params, cudaStream_t stream) { start_checked(params, stream); }

void launch(const BiasUpdateParams& params, cudaStream_t stream) {
  require(params.num_experts >= 1 && params.num_experts <= kMaxExperts, "bias_update", "num_experts",
          params.num_experts, "1..512");
  bias_update_kernel<<<1, kMaxExperts, 0, stream>>>(params);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::moe_gate
