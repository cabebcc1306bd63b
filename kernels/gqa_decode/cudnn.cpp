#include <kernels/gqa_decode/cudnn.hpp>

#include <kernels/vendor/cudnn_graph.hpp>

namespace traincost::kernels::gqa_decode {
namespace {

namespace fe = vendor::fe;
using vendor::bshd;

enum Name : std::int64_t { kQ = 1, kK, kV, kTableOfK, kTableOfV, kNewTokens, kLengths, kOut, kLse };

vendor::Tensor integers(fe::graph::Graph& graph, Name name, const Params& p, std::int64_t per_sequence) {
  return vendor::input(graph, name, bshd(p.b, per_sequence, 1, 1), fe::DataType_t::INT32);
}

fe::graph::SDPA_attributes attributes(fe::graph::Graph& graph, const Params& p) {
  auto a = fe::graph::SDPA_attributes()
               .set_name("decode")
               .set_generate_stats(true)
               .set_attn_scale(p.sm_scale)
               .set_padding_mask(true)
               .set_seq_len_q(integers(graph, kNewTokens, p, 1))
               .set_seq_len_kv(integers(graph, kLengths, p, 1))
               .set_paged_attention_k_table(integers(graph, kTableOfK, p, p.max_pages))
               .set_paged_attention_v_table(integers(graph, kTableOfV, p, p.max_pages))
               .set_paged_attention_max_seq_len_kv(p.max_pages * split_kv::kPageTokens);
  // One new token sees everything, and cuDNN up to 9.9 refuses to mask it.
  if (p.is_causal && p.s_q > 1)
    a.set_diagonal_alignment(fe::DiagonalAlignment_t::BOTTOM_RIGHT).set_diagonal_band_right_bound(0);
  return a;
}

void add_decode(fe::graph::Graph& graph, const Params& p) {
  const auto cache = bshd(std::int64_t{p.b} * p.max_pages, split_kv::kPageTokens, p.h_kv, kHeadDim);
  const auto q = vendor::input(graph, kQ, bshd(p.b, p.s_q, p.h_q, kHeadDim));
  const auto k = vendor::input(graph, kK, cache);
  const auto v = vendor::input(graph, kV, cache);
  const auto [out, lse] = graph.sdpa(q, k, v, attributes(graph, p));
  vendor::output(out, kOut, bshd(p.b, p.s_q, p.h_q, kHeadDim));
  vendor::output(lse, kLse, bshd(p.b, p.s_q, p.h_q, 1), fe::DataType_t::FLOAT);
}

}  // namespace

struct CudnnDecode::State {
  vendor::CudnnGraph graph;
  DeviceBuffer<int> new_tokens;
};

CudnnDecode::CudnnDecode(const Params& params) {
  validate(params);
  state_ = std::make_unique<State>(
      State{.graph = vendor::CudnnGraph([&](fe::graph::Graph& graph) { add_decode(graph, params); }),
            .new_tokens = DeviceBuffer<int>(std::vector<int>(static_cast<std::size_t>(params.b), params.s_q))});
}
CudnnDecode::~CudnnDecode() = default;

void CudnnDecode::launch(const Params& p, cudaStream_t stream) const {
  using vendor::pointer;
  state_->graph.launch({{kQ, pointer(p.q)},
                        {kK, pointer(p.k_cache)},
                        {kV, pointer(p.v_cache)},
                        {kTableOfK, pointer(p.block_table)},
                        {kTableOfV, pointer(p.block_table)},
                        {kNewTokens, state_->new_tokens.data()},
                        {kLengths, pointer(p.lengths)},
                        {kOut, p.out},
                        {kLse, p.lse}},
                       stream);
}

}  // namespace traincost::kernels::gqa_decode
