#include <traincost/calibrate/kind.hpp>

#include <algorithm>

namespace traincost::calibrate {
namespace {
constexpr std::array<std::string_view, kKinds> kNames{
    "gemm",       "attention",  "attention_mla",  "decode",     "decode_mla", "moe_mlp",  "stream", "quantize",
    "all_reduce", "all_gather", "reduce_scatter", "all_to_all", "send_recv",  "dispatch", "combine"};

struct KindOf {
  Kind operator()(const work::Gemm&) const { return Kind::gemm; }
  Kind operator()(const work::Attention& a) const { return a.d_qk == a.d_v ? Kind::attention : Kind::attention_mla; }
  Kind operator()(const work::Decode& d) const { return d.values_in_keys ? Kind::decode_mla : Kind::decode; }
  Kind operator()(const work::MoeMlp&) const { return Kind::moe_mlp; }
  Kind operator()(const work::Stream&) const { return Kind::stream; }
  Kind operator()(const work::Quantize&) const { return Kind::quantize; }
  Kind operator()(const work::Collective& c) const {
    return static_cast<Kind>(static_cast<int>(Kind::all_reduce) + static_cast<int>(c.kind));
  }
  Kind operator()(const work::MoeExchange& x) const { return x.is_combine ? Kind::combine : Kind::dispatch; }
};
}  // namespace

Kind kind_of(const work::Op& op) { return std::visit(KindOf{}, op); }

std::string_view to_string(Kind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::optional<Kind> parse_kind(std::string_view text) {
  const auto found = std::ranges::find(kNames, text);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Kind>(found - kNames.begin());
}

work::Dtype surface_dtype(const work::Op& op, work::Dtype dtype) {
  if (const auto* d = std::get_if<work::Decode>(&op)) return d->kv_dtype;
  if (std::holds_alternative<work::MoeExchange>(op))
    return work::bytes_per_element(dtype) < 2 ? work::Dtype::fp8 : work::Dtype::bf16;
  return uses_compute(kind_of(op)) ? dtype : work::Dtype::bf16;
}

}  // namespace traincost::calibrate
