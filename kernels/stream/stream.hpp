#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

#include <kernels/common/require.hpp>

/// What memory and the launch of a kernel give at best.
///
///   copy    y[i] = x[i]                    16 bytes a thread
///   triad   a[i] = b[i] + scale c[i]       fp32, as STREAM (McCalpin 1995)
///   launch  mark[block] = block            one thread a block: what a kernel costs that does nothing
namespace traincost::kernels::stream {

struct CopyParams {
  std::int64_t bytes = 0;   // a multiple of 16
  const void* x = nullptr;  // [bytes]
  void* y = nullptr;        // [bytes]
};
struct TriadParams {
  std::int64_t count = 0;  // of floats, a multiple of 4
  float scale = 0;
  const float* b = nullptr;  // [count]
  const float* c = nullptr;  // [count]
  float* a = nullptr;        // [count]
};
struct LaunchParams {
  int blocks = 1;
  int* mark = nullptr;  // [blocks]
};

inline void validate(const CopyParams& p) {
  require(p.bytes >= 0 && p.bytes % 16 == 0, "copy", "bytes", p.bytes, "a multiple of 16");
}
inline void validate(const TriadParams& p) {
  require(p.count >= 0 && p.count % 4 == 0, "triad", "count", p.count, "a multiple of 4");
}
inline void validate(const LaunchParams& p) { require(p.blocks >= 1, "launch", "blocks", p.blocks, "1 or more"); }

void launch(const CopyParams& params, cudaStream_t stream);
void launch(const TriadParams& params, cudaStream_t stream);
void launch(const LaunchParams& params, cudaStream_t stream);

void reference(const CopyParams& params);
void reference(const TriadParams& params);
void reference(const LaunchParams& params);

}  // namespace traincost::kernels::stream
