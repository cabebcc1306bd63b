#pragma once

#include <kernels/mla_decode/mla_decode.hpp>

/// The decode kernel under test: the tests are one source, linked with one of the two.
namespace traincost::kernels::mla_decode {

struct Tested {
  void (*launch)(const Params&, cudaStream_t);
  int (*num_parts)(int s_q, int h_q, int sm_count);
  bool has_whole_pages = false;  // it reads a sequence's last page to its end
  double asked_per_byte = 1;     // bytes of sectors that loads name / bytes of the cache
};
Tested tested(bool is_fp8);

}  // namespace traincost::kernels::mla_decode
