#include <algorithm>

#include <traincost/catalog/model.hpp>

#include <kernels/attention/attention.hpp>
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
                                        .s_q = double(a.s),
                                        .s_kv = double(a.s),
                                        .h_q = double(a.h_q),
                                        .h_kv = double(a.h_kv),
                                        .d_qk = double(a.d_qk),
                                        .d_v = double(a.d_v),
                                        .is_causal = a.is_causal,
                                        .pass = pass};
    return {label, work::flops(op), work::bytes(op, work::Dtype::bf16), work::Dtype::bf16, op};
  }
};

/// The heads of the catalogue's models, each combination once; MLA as it is trained, with a key head per query head.
std::vector<AttentionProblem> problems(work::Pass pass) {
  if (are_sizes_tiny()) return {{"tiny s=32", {1, 32, 4, 2, 16, 16}, pass}};
  std::vector<AttentionProblem> all;
  for (const auto& m : catalog::models()) {
    const auto whole = [](double x) { return static_cast<int>(x); };
    const bool is_mla = m.attention == catalog::AttentionKind::mla;
    const attention::Shape heads{.b = 1,
                                 .h_q = whole(m.heads),
                                 .h_kv = whole(is_mla ? m.heads : m.kv_heads),
                                 .d_qk = whole(m.head_dim),
                                 .d_v = whole(m.v_head_dim)};
    const auto is_same = [&](const AttentionProblem& p) {
      const auto& a = p.attention;
      return a.h_q == heads.h_q && a.h_kv == heads.h_kv && a.d_qk == heads.d_qk && a.d_v == heads.d_v;
    };
    if (heads.d_qk % 8 != 0 || heads.h_q % heads.h_kv != 0 || std::ranges::any_of(all, is_same)) continue;
    for (const int s : {1024, 4096, 16384}) {
      auto a = heads;
      a.s = s;
      all.push_back({m.id + " s=" + std::to_string(s), a, pass});
    }
  }
  return all;
}

#ifdef TRAINCOST_HAS_CUDNN

using Elements = std::vector<__nv_bfloat16>;
using DeviceElements = DeviceBuffer<__nv_bfloat16>;

struct Buffers {
  explicit Buffers(const AttentionProblem& p)
      : shape(p.attention),
        host_q(random_bf16(rows(shape.h_q) * shape.d_qk, -1, 1, 1)),
        host_k(random_bf16(rows(shape.h_kv) * shape.d_qk, -1, 1, 2)),
        host_v(random_bf16(rows(shape.h_kv) * shape.d_v, -1, 1, 3)),
        host_grad_out(random_bf16(rows(shape.h_q) * shape.d_v, -1, 1, 4)),
        q(host_q),
        k(host_k),
        v(host_v),
        grad_out(host_grad_out),
        out(grad_out.size()),
        lse(rows(shape.h_q)) {}

  [[nodiscard]] std::size_t rows(int heads) const { return static_cast<std::size_t>(shape.b) * shape.s * heads; }
  [[nodiscard]] attention::Tensors host() const {
    return {shape, host_q.data(), host_k.data(), host_v.data(), host_grad_out.data()};
  }
  [[nodiscard]] attention::Tensors device() const { return {shape, q.data(), k.data(), v.data(), grad_out.data()}; }

  attention::Shape shape;
  Elements host_q, host_k, host_v, host_grad_out;
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

class Forward : Buffers {
 public:
  explicit Forward(const AttentionProblem& p)
      : Buffers(p), graph_(p.attention, attention::CudnnAttention::Direction::forward) {}
  void launch(cudaStream_t stream) const { graph_.launch(device(), {.out = out.data(), .lse = lse.data()}, stream); }
  [[nodiscard]] Deviation deviation() const {
    const auto all = out.to_host();
    Random random(5);
    Compared compared;
    for (int n = 0; n < kComparedQueries; ++n) {
      const int b = random.below(shape.b), h = random.below(shape.h_q), i = random.below(shape.s);
      compared.add(all, (static_cast<std::size_t>(b) * shape.s + i) * shape.h_q + h,
                   attention::reference_out(host(), b, h, i));
    }
    return compared.deviation();
  }

 private:
  attention::CudnnAttention graph_;
};

/// Only the backward pass is launched; the forward one ran once, for out and lse.
class Backward : Buffers {
 public:
  explicit Backward(const AttentionProblem& p)
      : Buffers(p),
        graph_(p.attention, attention::CudnnAttention::Direction::backward),
        grad_q_(q.size()),
        grad_k_(k.size()),
        grad_v_(v.size()) {
    const attention::CudnnAttention forward(p.attention, attention::CudnnAttention::Direction::forward);
    forward.launch(device(), {.out = out.data(), .lse = lse.data()}, nullptr);
    TRAINCOST_CUDA_CHECK(cudaDeviceSynchronize());
  }
  void launch(cudaStream_t stream) const {
    graph_.launch(device(), {out.data(), lse.data(), grad_q_.data(), grad_k_.data(), grad_v_.data()}, stream);
  }
  [[nodiscard]] Deviation deviation() const { return worse(query_deviation(), key_deviation()); }

 private:
  [[nodiscard]] Deviation query_deviation() const {
    const auto all = grad_q_.to_host();
    Random random(6);
    Compared compared;
    for (int n = 0; n < kComparedQueries; ++n) {
      const int b = random.below(shape.b), h = random.below(shape.h_q), i = random.below(shape.s);
      compared.add(all, (static_cast<std::size_t>(b) * shape.s + i) * shape.h_q + h,
                   attention::reference_grad_q(host(), b, h, i));
    }
    return compared.deviation();
  }
  [[nodiscard]] Deviation key_deviation() const {
    const auto all_k = grad_k_.to_host();
    const auto all_v = grad_v_.to_host();
    Random random(7);
    Compared of_k, of_v;
    for (int j = std::max(0, shape.s - kComparedKeys); j < shape.s; ++j) {
      const int b = random.below(shape.b), h = random.below(shape.h_kv);
      const std::size_t row = (static_cast<std::size_t>(b) * shape.s + j) * shape.h_kv + h;
      const auto want = attention::reference_grad_kv(host(), b, h, j);
      of_k.add(all_k, row, want.k);
      of_v.add(all_v, row, want.v);
    }
    return worse(of_k.deviation(), of_v.deviation());
  }

  attention::CudnnAttention graph_;
  DeviceElements grad_q_, grad_k_, grad_v_;
};

#endif

/// Probabilities and their gradients pass through bf16 before the second product: 2^-7 of the typical value, and as far
/// again where several of them add up.
constexpr Tolerance kTolerance{.absolute = 1e-3, .relative = 0x1p-5, .cosine = 1e-4};

Case make(const std::string& name, work::Pass pass) {
  const auto all = problems(pass);
  Case c{.name = name, .shapes = shapes_of(all), .providers = {}, .tolerance = kTolerance};
#ifdef TRAINCOST_HAS_CUDNN
  c.providers.push_back(pass == work::Pass::forward
                            ? library_provider<Forward>("cudnn", 80, all, vendor::why_no_cudnn)
                            : library_provider<Backward>("cudnn", 80, all, vendor::why_no_cudnn));
#else
  c.providers.push_back(missing_provider("cudnn", "this build has no cuDNN"));
#endif
  return c;
}

const bool kIsForwardRegistered = register_case([] { return make("attention", work::Pass::forward); });
const bool kIsBackwardRegistered = register_case([] { return make("attention_backward", work::Pass::backward); });

}  // namespace
}  // namespace traincost::kernels
