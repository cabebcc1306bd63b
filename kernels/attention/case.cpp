#include <algorithm>

#include <traincost/catalog/model.hpp>

#include <kernels/attention/attention.hpp>
#include <kernels/attention/sm90/attention_sm90.hpp>
#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/random.hpp>
#ifdef TRAINCOST_HAS_CUDNN
#include <kernels/vendor/cudnn.hpp>
#endif

namespace traincost::kernels {
namespace {

struct AttentionProblem {
  std::string label;
  attention::Shape attention;
  work::Pass pass = work::Pass::forward;

  [[nodiscard]] Shape shape() const {
    const auto& a = attention;
    const work::Op op = work::Attention{.b = double(a.b),
                                        .s_q = double(a.max_seqlen_q),
                                        .s_kv = double(a.max_seqlen_k),
                                        .h_q = double(a.h_q),
                                        .h_kv = double(a.h_kv),
                                        .d_qk = double(a.d_qk),
                                        .d_v = double(a.d_v),
                                        .is_causal = a.is_causal,
                                        .pass = pass};
    return {label, work::flops(op), work::bytes(op, work::Dtype::bf16), work::Dtype::bf16, op};
  }
};

/// Which heads a case takes: MLA's as it is trained, with a key head per query head; 128/128; what only cuDNN has.
enum class Heads { mla, gqa, others };

Heads heads_of(const attention::Shape& a) {
  if (!attention::has_own_kernel(a)) return Heads::others;
  return a.d_qk == 192 ? Heads::mla : Heads::gqa;
}

attention::Shape shape_of(const catalog::Model& m) {
  const auto whole = [](double x) { return static_cast<int>(x); };
  const bool is_mla = m.attention == catalog::AttentionKind::mla;
  return {.h_q = whole(m.heads),
          .h_kv = whole(is_mla ? m.heads : m.kv_heads),
          .d_qk = whole(m.head_dim),
          .d_v = whole(m.v_head_dim)};
}

std::vector<AttentionProblem> tiny_problems(Heads heads, work::Pass pass) {
  const attention::Shape a = heads == Heads::mla   ? attention::Shape{.h_q = 1, .h_kv = 1, .d_qk = 192, .d_v = 128}
                             : heads == Heads::gqa ? attention::Shape{.h_q = 2, .h_kv = 1, .d_qk = 128, .d_v = 128}
                                                   : attention::Shape{.h_q = 4, .h_kv = 2, .d_qk = 16, .d_v = 16};
  return {{"tiny s=32", attention::of_equal_lengths(1, 32, a), pass}};
}

/// The heads of the catalogue's models, each combination once.
std::vector<AttentionProblem> problems(Heads heads, work::Pass pass) {
  if (are_sizes_tiny()) return tiny_problems(heads, pass);
  std::vector<AttentionProblem> all;
  for (const auto& m : catalog::models()) {
    const auto a = shape_of(m);
    const auto is_same = [&](const AttentionProblem& p) {
      const auto& other = p.attention;
      return a.h_q == other.h_q && a.h_kv == other.h_kv && a.d_qk == other.d_qk && a.d_v == other.d_v;
    };
    if (a.d_qk % 8 != 0 || a.h_q % a.h_kv != 0 || heads_of(a) != heads || std::ranges::any_of(all, is_same)) continue;
    for (const int s : {512, 1024, 4096, 8192, 16384})
      all.push_back({m.id + " s=" + std::to_string(s), attention::of_equal_lengths(1, s, a), pass});
  }
  return all;
}

using Elements = std::vector<__nv_bfloat16>;
using DeviceElements = DeviceBuffer<__nv_bfloat16>;

/// Sequences of equal lengths.
std::vector<int> cu_seqlens(const attention::Shape& a) {
  std::vector<int> first;
  for (int n = 0; n <= a.b; ++n) first.push_back(n * a.max_seqlen_q);
  return first;
}

struct Buffers {
  explicit Buffers(const AttentionProblem& p)
      : shape(p.attention),
        host_cu_seqlens(cu_seqlens(shape)),
        host_q(random_bf16(rows(shape.h_q) * shape.d_qk, -1, 1, 1)),
        host_k(random_bf16(rows(shape.h_kv) * shape.d_qk, -1, 1, 2)),
        host_v(random_bf16(rows(shape.h_kv) * shape.d_v, -1, 1, 3)),
        host_grad_out(random_bf16(rows(shape.h_q) * shape.d_v, -1, 1, 4)),
        device_cu_seqlens(host_cu_seqlens),
        q(host_q),
        k(host_k),
        v(host_v),
        grad_out(host_grad_out),
        out(grad_out.size()),
        lse(rows(shape.h_q)) {}

  [[nodiscard]] std::size_t rows(int heads) const { return static_cast<std::size_t>(shape.total_q) * heads; }
  [[nodiscard]] attention::Tensors host() const {
    return {shape,         host_cu_seqlens.data(), host_cu_seqlens.data(), host_q.data(),
            host_k.data(), host_v.data(),          host_grad_out.data()};
  }
  [[nodiscard]] attention::Tensors device() const {
    return {shape, device_cu_seqlens.data(), device_cu_seqlens.data(), q.data(), k.data(), v.data(), grad_out.data()};
  }

  attention::Shape shape;
  std::vector<int> host_cu_seqlens;
  Elements host_q, host_k, host_v, host_grad_out;
  DeviceBuffer<int> device_cu_seqlens;
  DeviceElements q, k, v, grad_out, out;
  DeviceBuffer<float> lse;
};

/// Rows of an output beside those of the reference.
struct Compared {
  std::vector<float> got, want;

  void add(const Elements& all, std::size_t row, const attention::Vector& reference) {
    for (std::size_t c = 0; c < reference.size(); ++c) {
      got.push_back(__bfloat162float(all[row * reference.size() + c]));
      want.push_back(static_cast<float>(reference[c]));
    }
  }
  [[nodiscard]] Deviation deviation() const { return kernels::deviation(got, want); }
};

constexpr int kComparedQueries = 64;
constexpr int kComparedKeys = 8;  // the last ones, which few queries see

/// Rows of queries drawn at random against reference(tensors, sequence, head, query).
template <class Reference>
Deviation query_deviation(const Buffers& b, const DeviceElements& result, std::uint64_t seed, Reference reference) {
  const auto all = result.to_host();
  Random random(seed);
  Compared compared;
  for (int row = 0; row < kComparedQueries; ++row) {
    const int n = random.below(b.shape.b), h = random.below(b.shape.h_q), i = random.below(b.shape.max_seqlen_q);
    compared.add(all, (static_cast<std::size_t>(b.host_cu_seqlens[n]) + i) * b.shape.h_q + h,
                 reference(b.host(), n, h, i));
  }
  return compared.deviation();
}

class Forward : public Buffers {
 public:
  using Buffers::Buffers;
  [[nodiscard]] attention::Outputs outputs() const { return {.out = out.data(), .lse = lse.data()}; }
  [[nodiscard]] Deviation deviation() const { return query_deviation(*this, out, 5, attention::reference_out); }
};

class OursForward : public Forward {
 public:
  using Forward::Forward;
  void launch(cudaStream_t stream) const { attention::launch_forward(device(), outputs(), stream); }
};

/// A provider launches the backward pass alone; run_forward, once, gives it out and lse.
class Backward : public Buffers {
 public:
  template <class RunForward>
  Backward(const AttentionProblem& p, RunForward run_forward)
      : Buffers(p), grad_q_(q.size()), grad_k_(k.size()), grad_v_(v.size()) {
    run_forward(*this);
    TRAINCOST_CUDA_CHECK(cudaDeviceSynchronize());
  }
  [[nodiscard]] attention::Outputs outputs() const {
    return {out.data(), lse.data(), grad_q_.data(), grad_k_.data(), grad_v_.data()};
  }
  [[nodiscard]] Deviation deviation() const {
    return worse(query_deviation(*this, grad_q_, 6, attention::reference_grad_q), key_deviation());
  }

 private:
  [[nodiscard]] Deviation key_deviation() const {
    const auto all_k = grad_k_.to_host();
    const auto all_v = grad_v_.to_host();
    Random random(7);
    Compared of_k, of_v;
    for (int j = std::max(0, shape.max_seqlen_k - kComparedKeys); j < shape.max_seqlen_k; ++j) {
      const int n = random.below(shape.b), h = random.below(shape.h_kv);
      const std::size_t row = (static_cast<std::size_t>(host_cu_seqlens[n]) + j) * shape.h_kv + h;
      const auto want = attention::reference_grad_kv(host(), n, h, j);
      of_k.add(all_k, row, want.k);
      of_v.add(all_v, row, want.v);
    }
    return worse(of_k.deviation(), of_v.deviation());
  }

  DeviceElements grad_q_, grad_k_, grad_v_;
};

void run_our_forward(const Buffers& b) {
  attention::launch_forward(b.device(), {.out = b.out.data(), .lse = b.lse.data()}, nullptr);
}

template <bool kIsDeterministic>
class OursBackward : public Backward {
 public:
  explicit OursBackward(const AttentionProblem& p)
      : Backward(p, run_our_forward), workspace_(attention::workspace_bytes(p.attention, kIsDeterministic)) {}
  void launch(cudaStream_t stream) const {
    attention::launch_backward(device(), outputs(), {kIsDeterministic, workspace_.data()}, stream);
  }

 private:
  DeviceBuffer<std::byte> workspace_;
};

class ForwardSm90 : public Forward {
 public:
  using Forward::Forward;
  void launch(cudaStream_t stream) const { attention::sm90::launch_forward(device(), outputs(), stream); }
};

/// A provider's backward pass reads what its own forward pass wrote.
class BackwardSm90 : public Backward {
 public:
  explicit BackwardSm90(const AttentionProblem& p)
      : Backward(p,
                 [](const Buffers& b) {
                   attention::sm90::launch_forward(b.device(), {.out = b.out.data(), .lse = b.lse.data()}, nullptr);
                 }),
        workspace_(attention::sm90::workspace_bytes(p.attention)) {}
  void launch(cudaStream_t stream) const {
    attention::sm90::launch_backward(device(), outputs(), {.workspace = workspace_.data()}, stream);
  }

 private:
  DeviceBuffer<std::byte> workspace_;
};

#ifdef TRAINCOST_HAS_CUDNN
using attention::CudnnAttention;

class CudnnForward : public Forward {
 public:
  explicit CudnnForward(const AttentionProblem& p)
      : Forward(p), graph_(p.attention, CudnnAttention::Direction::forward) {}
  void launch(cudaStream_t stream) const { graph_.launch(device(), outputs(), stream); }

 private:
  CudnnAttention graph_;
};

class CudnnBackward : public Backward {
 public:
  explicit CudnnBackward(const AttentionProblem& p)
      : Backward(p,
                 [](const Buffers& b) {
                   const CudnnAttention forward(b.shape, CudnnAttention::Direction::forward);
                   forward.launch(b.device(), {.out = b.out.data(), .lse = b.lse.data()}, nullptr);
                   TRAINCOST_CUDA_CHECK(cudaDeviceSynchronize());  // before the graph's workspace goes
                 }),
        graph_(p.attention, CudnnAttention::Direction::backward) {}
  void launch(cudaStream_t stream) const { graph_.launch(device(), outputs(), stream); }

 private:
  CudnnAttention graph_;
};
#endif

/// Probabilities and their gradients pass through bf16 before the second product: 2^-7 of the typical value, and as far
/// again where several of them add up.
constexpr Tolerance kTolerance{.absolute = 1e-3, .relative = 0x1p-5, .cosine = 1e-4};

Case make(const std::string& name, Heads heads, work::Pass pass) {
  const auto all = problems(heads, pass);
  Case c{.name = name, .shapes = shapes_of(all), .providers = {}, .tolerance = kTolerance};
  const bool is_forward = pass == work::Pass::forward;
  if (heads != Heads::others && is_forward)
    c.providers = {provider<OursForward>("traincost", 80, all), sm90_provider<ForwardSm90>("traincost_sm90", all)};
  if (heads != Heads::others && !is_forward)
    c.providers = {provider<OursBackward<false>>("traincost", 80, all),
                   provider<OursBackward<true>>("traincost_deterministic", 80, all),
                   sm90_provider<BackwardSm90>("traincost_sm90", all)};
#ifdef TRAINCOST_HAS_CUDNN
  c.providers.push_back(is_forward ? library_provider<CudnnForward>("cudnn", 80, all, vendor::why_no_cudnn)
                                   : library_provider<CudnnBackward>("cudnn", 80, all, vendor::why_no_cudnn));
#else
  c.providers.push_back(missing_provider("cudnn", "this build has no cuDNN"));
#endif
  return c;
}

bool register_both(const std::string& name, Heads heads) {
  return register_case([=] { return make(name, heads, work::Pass::forward); }) &&
         register_case([=] { return make(name + "_backward", heads, work::Pass::backward); });
}

const bool kIsMlaRegistered = register_both("mla_attention", Heads::mla);
const bool kIsGqaRegistered = register_both("gqa_attention", Heads::gqa);
const bool kAreOthersRegistered = register_both("attention", Heads::others);

}  // namespace
}  // namespace traincost::kernels
