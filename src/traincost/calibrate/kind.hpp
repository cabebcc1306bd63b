#pragma once

#include <array>
#include <optional>
#include <string_view>

#include <traincost/work/op.hpp>

namespace traincost::calibrate {

/// What gets a surface of its own. `attention_mla`: d_qk differs from d_v; `decode_mla`: values are a view of the keys.
enum class Kind {
  gemm,
  attention,
  attention_mla,
  decode,
  decode_mla,
  moe_mlp,
  stream,
  quantize,
  all_reduce,
  all_gather,
  reduce_scatter,
  all_to_all,
  send_recv,
  dispatch,
  combine
};
inline constexpr std::size_t kKinds = 15;
inline constexpr std::size_t kDtypes = 9;

Kind kind_of(const work::Op& op);
std::string_view to_string(Kind kind);
std::optional<Kind> parse_kind(std::string_view text);

/// The element format that keys the surface: of the cache for decoding, of the rows for an exchange, none (bf16) for
/// what only moves bytes.
work::Dtype surface_dtype(const work::Op& op, work::Dtype dtype);

constexpr bool uses_link(Kind kind) { return kind >= Kind::all_reduce; }
constexpr bool uses_compute(Kind kind) { return kind <= Kind::moe_mlp; }
constexpr bool is_decode(Kind kind) { return kind == Kind::decode || kind == Kind::decode_mla; }

}  // namespace traincost::calibrate
