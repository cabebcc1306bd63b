#include <cudnn_frontend.h>

#include <unordered_map>

#include <kernels/attention/attention.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/vendor/cudnn.hpp>

namespace traincost::kernels::attention {
namespace {

namespace fe = cudnn_frontend;
using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

enum Name : std::int64_t { kQ = 1, kK, kV, kOut, kLse, kGradOut, kGradQ, kGradK, kGradV };

void check(fe::error_t&& error) {
  if (error.is_bad()) throw CudaError("cuDNN: " + error.get_message());
}

/// [b, s, h, d] in memory, which cuDNN names in the order b, h, s, d.
struct Layout {
  std::vector<std::int64_t> dim, stride;
};
Layout layout(const Shape& s, std::int64_t heads, std::int64_t d) {
  return {{s.b, heads, s.s, d}, {s.s * heads * d, d, heads * d, 1}};
}
Layout lse_layout(const Shape& s) { return {{s.b, s.h_q, s.s, 1}, {std::int64_t{s.h_q} * s.s, s.s, 1, 1}}; }

Tensor input(fe::graph::Graph& graph, Name name, const Layout& at, fe::DataType_t type = fe::DataType_t::BFLOAT16) {
  return graph.tensor(
      fe::graph::Tensor_attributes().set_uid(name).set_dim(at.dim).set_stride(at.stride).set_data_type(type));
}
void output(const Tensor& tensor, Name name, const Layout& at, fe::DataType_t type = fe::DataType_t::BFLOAT16) {
  tensor->set_output(true).set_uid(name).set_dim(at.dim).set_stride(at.stride).set_data_type(type);
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
  fe::graph::Graph graph;
  DeviceBuffer<char> workspace;
  Direction direction;
};

CudnnAttention::CudnnAttention(const Shape& shape, Direction direction) : plan_(std::make_unique<Plan>()) {
  validate(shape);
  auto& graph = plan_->graph;
  plan_->direction = direction;
  graph.set_io_data_type(fe::DataType_t::BFLOAT16)
      .set_intermediate_data_type(fe::DataType_t::FLOAT)
      .set_compute_data_type(fe::DataType_t::FLOAT);
  direction == Direction::forward ? add_forward(graph, shape) : add_backward(graph, shape);
  const auto handle = vendor::cudnn_handle();
  check(graph.build(handle, {fe::HeurMode_t::A}));
  std::int64_t bytes = 0;
  check(graph.get_workspace_size(bytes));
  plan_->workspace = DeviceBuffer<char>(static_cast<std::size_t>(bytes));
}
CudnnAttention::~CudnnAttention() = default;

void CudnnAttention::launch(const Tensors& t, const Outputs& o, cudaStream_t stream) const {
  const auto pointer = [](const __nv_bfloat16* p) { return static_cast<void*>(const_cast<__nv_bfloat16*>(p)); };
  std::unordered_map<std::int64_t, void*> at{
      {kQ, pointer(t.q)}, {kK, pointer(t.k)}, {kV, pointer(t.v)}, {kOut, o.out}, {kLse, o.lse}};
  if (plan_->direction == Direction::backward)
    at.insert({{kGradOut, pointer(t.grad_out)}, {kGradQ, o.grad_q}, {kGradK, o.grad_k}, {kGradV, o.grad_v}});
  const auto handle = vendor::cudnn_handle();
  vendor::set_stream(handle, stream);
  check(plan_->graph.execute(handle, at, plan_->workspace.data()));
}

}  // namespace traincost::kernels::attention
