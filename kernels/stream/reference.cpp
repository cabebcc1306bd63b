#include <cmath>
#include <cstring>

#include <kernels/stream/stream.hpp>

namespace traincost::kernels::stream {

void reference(const CopyParams& p) {
  validate(p);
  std::memcpy(p.y, p.x, static_cast<std::size_t>(p.bytes));
}

// One rounding, as the kernel's.
void reference(const TriadParams& p) {
  validate(p);
  for (std::int64_t i = 0; i < p.count; ++i) p.a[i] = std::fma(p.scale, p.c[i], p.b[i]);
}

void reference(const LaunchParams& p) {
  validate(p);
  for (int block = 0; block < p.blocks; ++block) p.mark[block] = block;
}

}  // namespace traincost::kernels::stream
