#include <tests/kernels/mla_tested.hpp>

namespace traincost::kernels::mla_decode {

Tested tested(bool) { return {.launch = launch, .num_parts = num_parts}; }

}  // namespace traincost::kernels::mla_decode
