#include <kernels/attention/attention.hpp>
#include <kernels/vendor/cudnn_graph.hpp>

namespace traincost::kernels::attention {
namespace {

namespace fe = vendor::fe;
using vendor::input, vendor::output, vendor::Layout, vendor::Tensor;

enum Name : std::int64_t { kQ = 1, kK, kV, kOut, kLse, kGradOut, kGradQ, kGradK, kGradV };

Layout layout(const Shape& s, std::int64_t heads, std::int64_t d) {
  return vendor::bshd(s.b, s.max_seqlen_q, heads, d);
}
/// [h_q, total_q]
Layout lse_layout(const Shape& s) { return {{s.b, s.h_q, s.max_seqlen_q, 1}, {s.max_seqlen_q, s.total_q, 1, 1}}; }

void require_equal_lengths(const Shape& s) {
  require(s.total_q == s.b * s.max_seqlen_q, "cuDNN attention", "total_q", s.total_q, "b times max_seqlen_q");
  require(s.total_k == s.total_q, "cuDNN attention", "total_k", s.total_k, "total_q");
  require(s.max_seqlen_k == s.max_seqlen_q, "cuDNN attention", "max_seqlen_k", s.max_seqlen_k, "max_seqlen_q");
}

struct Inputs {
  Tensor q, k, v;
};
Inputs inputs(fe::graph::Graph& graph, const Shape& s) {
  return {input(graph, kQ, layout(s, s.h_q, s.d_qk)), input(graph, kK, layout(s, s.h_kv, s.d_qk)),
          input(graph, kV, layout(s, s.h_kv, s.d_v))};
}

void add_forward(fe::graph::Graph& graph, const Shape& s) {
  const auto in = inputs(graph, s);
  const auto [out, lse] = graph.sdpa(in.q, in.k, in.v,
                                     fe::graph::SDPA_attributes()
                                         .set_name("forward")
                                         .set_generate_stats(true)
                                         .set_causal_mask(s.is_causal)
                                         .set_attn_scale(s.sm_scale()));
  output(out, kOut, layout(s, s.h_q, s.d_v));
  output(lse, kLse, lse_layout(s), fe::DataType_t::FLOAT);
}

void add_backward(fe::graph::Graph& graph, const Shape& s) {
  const auto in = inputs(graph, s);
  const auto out = input(graph, kOut, layout(s, s.h_q, s.d_v));
  const auto grad_out = input(graph, kGradOut, layout(s, s.h_q, s.d_v));
  const auto lse = input(graph, kLse, lse_layout(s), fe::DataType_t::FLOAT);
  const auto [grad_q, grad_k, grad_v] = graph.sdpa_backward(in.q, in.k, in.v, out, grad_out, lse,
                                                            fe::graph::SDPA_backward_attributes()
                                                                .set_name("backward")
                                                                .set_causal_mask(s.is_causal)
                                                                .set_attn_scale(s.sm_scale()));
  output(grad_q, kGradQ, layout(s, s.h_q, s.d_qk));
  output(grad_k, kGradK, layout(s, s.h_kv, s.d_qk));
  output(grad_v, kGradV, layout(s, s.h_kv, s.d_v));
}

}  // namespace

struct CudnnAttention::Plan {
  vendor::CudnnGraph graph;
  Direction direction;
};

CudnnAttention::CudnnAttention(const Shape& shape, Direction direction) {
  validate(shape);
  require_equal_lengths(shape);
  const auto add = direction == Direction::forward ? add_forward : add_backward;
  plan_ = std::make_unique<Plan>(
      Plan{.graph = vendor::CudnnGraph([&](fe::graph::Graph& graph) { add(graph, shape); }), .direction = direction});
}
CudnnAttention::~CudnnAttention() = default;

void CudnnAttention::launch(const Tensors& t, const Outputs& o, cudaStream_t stream) const {
  using vendor::pointer;
  std::unordered_map<std::int64_t, void*> at{
      {kQ, pointer(t.q)}, {kK, pointer(t.k)}, {kV, pointer(t.v)}, {kOut, o.out}, {kLse, o.lse}};
  if (plan_->direction == Direction::backward)
    at.insert({{kGradOut, pointer(t.grad_out)}, {kGradQ, o.grad_q}, {kGradK, o.grad_k}, {kGradV, o.grad_v}});
  plan_->graph.launch(std::move(at), stream);
}

}  // namespace traincost::kernels::attention
