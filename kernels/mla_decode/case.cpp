#include <kernels/common/decode_case.hpp>
#include <kernels/common/device.hpp>
#include <kernels/kv_cache/random_tokens.hpp>
#include <kernels/mla_decode/mla_decode.hpp>
#include <kernels/mla_decode/sm90/mla_decode_sm90.hpp>
#ifdef TRAINCOST_HAS_CUBLAS
#include <kernels/naive_decode/cublas.hpp>
#include <kernels/vendor/cublas.hpp>
#endif

namespace traincost::kernels {
namespace {

using namespace mla_decode;

constexpr float kSmScale = 0.0721687836F;  // 1 / sqrt(192), of DeepSeek-V3's expanded heads

struct MlaProblem {
  DecodeSize size;
  bool is_fp8;

  [[nodiscard]] Shape shape() const {
    return decode_shape(size, {.d_qk = kKeyDim, .d_v = kLatent, .values_in_keys = true},
                        {.d_k = kLatent, .d_rope = kRope, .dtype = is_fp8 ? work::Dtype::fp8_block : work::Dtype::bf16},
                        num_parts(size.s_q, size.h_q, kCountedSms));
  }
};

/// DeepSeek-V3's 128 heads, on one GPU and over eight; FlashMLA's batches and lengths; two tokens at once.
std::vector<MlaProblem> problems(bool is_fp8) {
  if (are_sizes_tiny()) return {{{1, 1, 128, 16, 1}, is_fp8}};
  std::vector<MlaProblem> all;
  for (const int h_q : {16, 128})
    for (const auto& [b, s_kv] : {std::pair{1, 1024}, {1, 4096}, {32, 4096}, {128, 4096}, {128, 8192}, {1, 131072}})
      all.push_back({{b, 1, s_kv, h_q, 1}, is_fp8});
  all.push_back({{128, 1, 32768, 128, 1}, is_fp8});
  all.push_back({{128, 2, 4096, 128, 1}, is_fp8});
  return all;
}

/// The cache of one sequence.
std::vector<std::uint8_t> sequence_cache(const MlaProblem& p) {
  auto cache = kv_cache::random_tokens(static_cast<std::size_t>(p.size.s_kv), p.is_fp8);
  const std::size_t room = static_cast<std::size_t>(pages_per_sequence(p.size)) * split_kv::kPageTokens;
  cache.resize(room * token_bytes(p.is_fp8));
  return cache;
}

class Buffers {
 public:
  explicit Buffers(const MlaProblem& p)
      : problem_(p),
        rows_(static_cast<std::size_t>(p.size.s_q) * p.size.h_q),
        host_q_(random_bf16(rows_ * p.size.b * kKeyDim, -1, 1, 3)),
        host_cache_(sequence_cache(p)),
        host_table_(pages_in_order(p.size)),
        q_(host_q_),
        cache_(repeated(host_cache_, p.size.b)),
        out_(rows_ * p.size.b * kLatent),
        lse_(rows_ * p.size.b) {}

  /// The first sequence: all its heads, or the first of them where one token decodes.
  [[nodiscard]] Deviation deviation() const {
    const DecodeSize& s = problem_.size;
    const int heads = s.s_q == 1 ? std::min(s.h_q, kComparedHeads) : s.h_q;
    const std::size_t compared = static_cast<std::size_t>(s.s_q) * heads;
    std::vector<__nv_bfloat16> out(compared * kLatent);
    std::vector<float> lse(compared);
    Params p = shared_params();
    p.b = 1;
    p.h_q = heads;
    p.q = host_q_.data();
    p.cache = host_cache_.data();
    p.block_table = host_table_.data();
    p.lengths = &s.s_kv;
    p.out = out.data();
    p.lse = lse.data();
    reference(p);
    return worse(first_deviation(out_, out), first_deviation(lse_, lse));
  }

 protected:
  [[nodiscard]] Params shared_params() const {
    Params p;
    p.b = problem_.size.b;
    p.s_q = problem_.size.s_q;
    p.h_q = problem_.size.h_q;
    p.max_pages = pages_per_sequence(problem_.size);
    p.is_fp8 = problem_.is_fp8;
    p.sm_scale = kSmScale;
    return p;
  }

  MlaProblem problem_;
  std::size_t rows_;
  std::vector<__nv_bfloat16> host_q_;
  std::vector<std::uint8_t> host_cache_;  // of each sequence
  std::vector<int> host_table_;
  DeviceBuffer<__nv_bfloat16> q_;
  DeviceBuffer<std::uint8_t> cache_;
  DeviceBuffer<__nv_bfloat16> out_;
  DeviceBuffer<float> lse_;
};

struct Sm80 {
  static constexpr auto launch = mla_decode::launch;
  static constexpr auto num_parts = mla_decode::num_parts;
};
struct Sm90 {
  static constexpr auto launch = sm90::launch;
  static constexpr auto num_parts = sm90::num_parts;
};

template <class Kernel>
class Ours : public Buffers {
 public:
  explicit Ours(const MlaProblem& p)
      : Buffers(p),
        table_(host_table_),
        plan_(lengths_of(p.size), Kernel::num_parts(p.size.s_q, p.size.h_q, sm_count()), rows_, kLatent) {}

  void launch(cudaStream_t stream) const {
    Params p = shared_params();
    plan_.fill(p);
    p.q = q_.data();
    p.cache = cache_.data();
    p.block_table = table_.data();
    p.out = out_.data();
    p.lse = lse_.data();
    Kernel::launch(p, stream);
  }

 private:
  DeviceBuffer<int> table_;
  split_kv::DevicePlan plan_;
};

#ifdef TRAINCOST_HAS_CUBLAS
class Cublas : public Buffers {
 public:
  explicit Cublas(const MlaProblem& p) : Buffers(p), composition_(composed()) {}
  void launch(cudaStream_t stream) const { composition_.launch(stream); }

 private:
  [[nodiscard]] naive_decode::Problem composed() const {
    const auto* keys = reinterpret_cast<const __nv_bfloat16*>(cache_.data());
    return {.b = problem_.size.b,
            .s_q = problem_.size.s_q,
            .h_q = problem_.size.h_q,
            .h_kv = 1,
            .s_kv = problem_.size.s_kv,
            .d_qk = kKeyDim,
            .d_v = kLatent,
            .sm_scale = kSmScale,
            .row = kKeyDim,
            .q = q_.data(),
            .k = keys,
            .v = keys,
            .out = out_.data(),
            .lse = lse_.data()};
  }
  naive_decode::CublasComposition composition_;
};
#endif

Case make(const std::string& name, bool is_fp8) {
  const auto all = problems(is_fp8);
  // No cuDNN: its decode is documented up to head dimension 256 (support matrix of 9.18); these are 576 and 512.
  Case c = case_of<Ours<Sm80>>(name, all, is_fp8 ? kFp8DecodeTolerance : kDecodeTolerance);
  c.providers.push_back(sm90_provider<Ours<Sm90>>("traincost_sm90", all));
#ifdef TRAINCOST_HAS_CUBLAS
  if (!is_fp8) c.providers.push_back(library_provider<Cublas>("cublas_composition", 80, all, vendor::why_no_cublas));
#else
  if (!is_fp8) c.providers.push_back(missing_provider("cublas_composition", "this build has no cuBLAS"));
#endif
  return c;
}

const bool kIsBf16Registered = register_case([] { return make("mla_decode", false); });
const bool kIsFp8Registered = register_case([] { return make("mla_decode_fp8", true); });

}  // namespace
}  // namespace traincost::kernels
