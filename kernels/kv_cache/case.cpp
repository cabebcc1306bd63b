#include <algorithm>
#include <numeric>

#include <traincost/work/decode.hpp>

#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/random.hpp>
#include <kernels/kv_cache/kv_cache.hpp>

namespace traincost::kernels {
namespace {

using mla_decode::kLatent;
using mla_decode::kRope;

// A decode step of 32 to 1024 sequences, and prompts.
std::vector<int> step_tokens() {
  return are_sizes_tiny() ? std::vector{4, 16} : std::vector{32, 128, 1024, 4096, 32768};
}
constexpr int kComparedTokens = 64;

std::string label(const char* what, int tokens) { return std::string(what) + " tokens=" + std::to_string(tokens); }

struct AppendProblem {
  int tokens;
  bool is_fp8;

  [[nodiscard]] Shape shape() const {
    const work::CacheAppend op{
        .tokens = static_cast<double>(tokens),
        .cache = {.d_k = kLatent, .d_rope = kRope, .dtype = is_fp8 ? work::Dtype::fp8_block : work::Dtype::bf16}};
    return {label(is_fp8 ? "fp8" : "bf16", tokens), {0}, work::bytes(op)};
  }
};

class Append {
 public:
  explicit Append(const AppendProblem& p)
      : problem_(p),
        host_latent_(random_bf16(static_cast<std::size_t>(p.tokens) * kLatent, -4, 4, 1)),
        host_rope_(random_bf16(static_cast<std::size_t>(p.tokens) * kRope, -4, 4, 2)),
        host_slots_(static_cast<std::size_t>(p.tokens)),
        latent_(host_latent_),
        rope_(host_rope_),
        cache_(static_cast<std::size_t>(p.tokens) * token_bytes()) {
    std::iota(host_slots_.begin(), host_slots_.end(), 0);
    slots_ = DeviceBuffer<int>(host_slots_);
  }

  void launch(cudaStream_t stream) const {
    kv_cache::launch(params(problem_.tokens, latent_.data(), rope_.data(), slots_.data(), cache_.data()), stream);
  }

  /// The first tokens, to the bit.
  [[nodiscard]] Deviation deviation() const {
    const int tokens = std::min(problem_.tokens, kComparedTokens);
    std::vector<std::uint8_t> want(static_cast<std::size_t>(tokens) * token_bytes());
    kv_cache::reference(params(tokens, host_latent_.data(), host_rope_.data(), host_slots_.data(), want.data()));
    auto got = cache_.to_host();
    got.resize(want.size());
    return {.is_exact = got == want};
  }

 private:
  [[nodiscard]] std::size_t token_bytes() const {
    return static_cast<std::size_t>(mla_decode::token_bytes(problem_.is_fp8));
  }
  [[nodiscard]] kv_cache::AppendParams params(int tokens, const __nv_bfloat16* latent, const __nv_bfloat16* rope,
                                              const int* slots, std::uint8_t* cache) const {
    return {
        .tokens = tokens, .is_fp8 = problem_.is_fp8, .latent = latent, .rope = rope, .slots = slots, .cache = cache};
  }

  AppendProblem problem_;
  std::vector<__nv_bfloat16> host_latent_, host_rope_;
  std::vector<int> host_slots_;
  DeviceBuffer<__nv_bfloat16> latent_, rope_;
  DeviceBuffer<int> slots_;
  DeviceBuffer<std::uint8_t> cache_;
};

/// The key's rotary part, and that of all heads' absorbed queries.
struct RopeProblem {
  int tokens, heads;

  [[nodiscard]] Shape shape() const {
    const work::Rope op{
        .tokens = static_cast<double>(tokens), .heads = static_cast<double>(heads), .dim = static_cast<double>(kRope)};
    return {label(heads == 1 ? "key" : "queries", tokens), work::flops(op), work::bytes(op)};
  }
};

class Rope {
 public:
  explicit Rope(const RopeProblem& p)
      : problem_(p),
        host_table_(kv_cache::rope_table(kPositions, kRope, kTheta)),
        host_positions_(static_cast<std::size_t>(p.tokens)),
        host_input_(random_bf16(static_cast<std::size_t>(p.tokens) * p.heads * head_stride(), -1, 1, 1)),
        table_(host_table_),
        input_(host_input_),
        output_(host_input_.size()) {
    Random random(2);
    for (int& position : host_positions_) position = random.below(kPositions);
    positions_ = DeviceBuffer<int>(host_positions_);
  }

  void launch(cudaStream_t stream) const {
    kv_cache::launch(
        params(problem_.tokens, positions_.data(), table_.data(), input_.data() + offset(), output_.data() + offset()),
        stream);
  }

  /// The first tokens; between the rotary parts neither writes.
  [[nodiscard]] Deviation deviation() const {
    const int tokens = std::min(problem_.tokens, kComparedTokens);
    auto got = output_.to_host();
    got.resize(static_cast<std::size_t>(tokens) * problem_.heads * head_stride());
    auto want = got;
    kv_cache::reference(params(tokens, host_positions_.data(), host_table_.data(), host_input_.data() + offset(),
                               want.data() + offset()));
    return kernels::deviation(got, want);
  }

 private:
  static constexpr int kPositions = 4096;
  static constexpr double kTheta = 10000;

  [[nodiscard]] int head_stride() const { return problem_.heads == 1 ? kRope : mla_decode::kKeyDim; }
  [[nodiscard]] int offset() const { return head_stride() - kRope; }
  [[nodiscard]] kv_cache::RopeParams params(int tokens, const int* positions, const float2* table,
                                            const __nv_bfloat16* input, __nv_bfloat16* output) const {
    return {.tokens = tokens,
            .heads = problem_.heads,
            .dim = kRope,
            .token_stride = static_cast<std::int64_t>(problem_.heads) * head_stride(),
            .head_stride = head_stride(),
            .positions = positions,
            .table = table,
            .input = input,
            .output = output};
  }

  RopeProblem problem_;
  std::vector<float2> host_table_;
  std::vector<int> host_positions_;
  std::vector<__nv_bfloat16> host_input_;
  DeviceBuffer<float2> table_;
  DeviceBuffer<int> positions_;
  DeviceBuffer<__nv_bfloat16> input_, output_;
};

Case make_append() {
  std::vector<AppendProblem> all;
  for (const int tokens : step_tokens()) all.insert(all.end(), {{tokens, false}, {tokens, true}});
  return case_of<Append>("kv_cache_append", all);
}

Case make_rope() {
  std::vector<RopeProblem> all;
  for (const int tokens : step_tokens()) all.insert(all.end(), {{tokens, 1}, {tokens, 128}});
  return case_of<Rope>("rope", all, {.relative = 0x1p-7, .cosine = 1e-6});
}

const bool kIsAppendRegistered = register_case(make_append);
const bool kIsRopeRegistered = register_case(make_rope);

}  // namespace
}  // namespace traincost::kernels
