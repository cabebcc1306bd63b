#include <kernels/common/address.hpp>
#include <kernels/common/cuda_check.hpp>
#include <kernels/common/reduce.cuh>
#include <kernels/common/vec8.cuh>
#include <kernels/norms/norms.hpp>

namespace traincost::kernels::norms {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpSize;
constexpr int kHeldVectors = 4;  // of eight, a thread: rows up to 8,192 columns are read once; wider ones again from L2

/// Sum over the block, the same for every thread; two barriers.
__device__ float block_sum(float x) {
  __shared__ float shared[kWarps];
  x = warp_sum(x);
  if (threadIdx.x % kWarpSize == 0) shared[threadIdx.x / kWarpSize] = x;
  __syncthreads();
  float sum = 0;
#pragma unroll
  for (int w = 0; w < kWarps; ++w) sum += shared[w];
  __syncthreads();
  return sum;
}

/// A row whose first vectors stay in registers.
class Row {
 public:
  __device__ Row(const __nv_bfloat16* row, int vectors) : row_(row) {
#pragma unroll
    for (int i = 0; i < kHeldVectors; ++i)
      if (static_cast<int>(threadIdx.x) + i * kThreads < vectors) held_[i] = load8(row, threadIdx.x + i * kThreads);
  }

  /// visit(vector, its elements) for each vector of this thread.
  template <class Visit>
  __device__ void each(int vectors, Visit visit) const {
#pragma unroll
    for (int i = 0; i < kHeldVectors; ++i) {
      const int vector = static_cast<int>(threadIdx.x) + i * kThreads;
      if (vector < vectors) visit(vector, held_[i]);
    }
    for (int vector = static_cast<int>(threadIdx.x) + kHeldVectors * kThreads; vector < vectors; vector += kThreads)
      visit(vector, load8(row_, vector));
  }

 private:
  const __nv_bfloat16* row_;
  Float8 held_[kHeldVectors];
};

template <bool kIsLayerNorm>
__global__ void __launch_bounds__(kThreads) forward_kernel(ForwardParams p) {
  const std::int64_t offset = row_offset(blockIdx.x, p.shape.columns);
  const int vectors = p.shape.columns / 8;
  const Row row(p.x + offset, vectors);
  float centre = 0;
  if constexpr (kIsLayerNorm) {
    float sum = 0;
    row.each(vectors, [&](int, const Float8& x) {
#pragma unroll
      for (const float v : x.x) sum += v;
    });
    centre = block_sum(sum) / static_cast<float>(p.shape.columns);
  }
  float squares = 0;
  row.each(vectors, [&](int, const Float8& x) {
#pragma unroll
    for (const float v : x.x) squares += (v - centre) * (v - centre);
  });
  const float scale = rsqrtf(block_sum(squares) / static_cast<float>(p.shape.columns) + p.epsilon);
  row.each(vectors, [&](int vector, const Float8& x) {
    const Float8 weight = load8(p.weight, vector);
    const Float8 bias = kIsLayerNorm ? load8(p.bias, vector) : Float8{};
    Float8 y;
#pragma unroll
    for (int i = 0; i < 8; ++i) y.x[i] = (x.x[i] - centre) * scale * weight.x[i] + bias.x[i];
    store8(p.y + offset, vector, y);
  });
}

__global__ void __launch_bounds__(kThreads) input_gradient_kernel(InputGradientParams p) {
  const std::int64_t offset = row_offset(blockIdx.x, p.shape.columns);
  const int vectors = p.shape.columns / 8;
  const Row row(p.x + offset, vectors);
  float squares = 0, along = 0;
  row.each(vectors, [&](int vector, const Float8& x) {
    const Float8 weight = load8(p.weight, vector), g = load8(p.grad_y + offset, vector);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      squares += x.x[i] * x.x[i];
      along += x.x[i] * g.x[i] * weight.x[i];
    }
  });
  const float columns = static_cast<float>(p.shape.columns);
  const float scale = rsqrtf(block_sum(squares) / columns + p.epsilon);
  const float mean = block_sum(along) * scale * scale / columns;
  row.each(vectors, [&](int vector, const Float8& x) {
    const Float8 weight = load8(p.weight, vector), g = load8(p.grad_y + offset, vector);
    Float8 out;
#pragma unroll
    for (int i = 0; i < 8; ++i) out.x[i] = scale * (g.x[i] * weight.x[i] - x.x[i] * mean);
    store8(p.grad_x + offset, vector, out);
  });
}

}  // namespace

void launch(const ForwardParams& p, cudaStream_t stream) {
  validate(p.shape);
  if (p.shape.rows == 0) return;
  auto* kernel = p.bias != nullptr ? forward_kernel<true> : forward_kernel<false>;
  kernel<<<static_cast<unsigned>(p.shape.rows), kThreads, 0, stream>>>(p);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

void launch(const InputGradientParams& p, cudaStream_t stream) {
  validate(p.shape);
  if (p.shape.rows == 0) return;
  input_gradient_kernel<<<static_cast<unsigned>(p.shape.rows), kThreads, 0, stream>>>(p);
  TRAINCOST_CUDA_CHECK(cudaGetLastError());
}

}  // namespace traincost::kernels::norms
