#include <kernels/mla_decode/sm90/mla_decode_sm90.hpp>
#include <tests/kernels/mla_tested.hpp>

namespace traincost::kernels::mla_decode {

Tested tested(bool is_fp8) {
  // bf16: the two blocks of a cluster ask for half of each page. fp8: tokens of 656 bytes, 20.5 sectors: the halves of
  // the latent are 8 or 9 each, its scales twice 1, the rotary part 5 or 4, on average 23.5.
  return {.launch = sm90::launch,
          .num_parts = sm90::num_parts,
          .has_whole_pages = !is_fp8,
          .asked_per_byte = is_fp8 ? 23.5 / 20.5 : 0.5};
}

}  // namespace traincost::kernels::mla_decode
