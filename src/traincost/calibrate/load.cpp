#include <traincost/calibrate/load.hpp>

#include <algorithm>
#include <cmath>

namespace traincost::calibrate {
namespace {

struct Tile {
  double rows, columns;
};
// Square-ish tiles of the libraries, largest first; each is tried both ways round.
constexpr std::array<Tile, kTileRanks> kTiles{{{256, 128}, {128, 128}, {128, 64}, {64, 64}}};
constexpr double kTile = 128;         // by which a product's jumps from wave to wave are told apart
constexpr double kSplitDepth = 2048;  // shortest part worth a reduction of its own
constexpr double kQueryTile = 128;    // queries per thread block in FlashAttention 2 and 3 and cuDNN
constexpr double kCastBytes = 3;      // reads bf16, writes fp8

void add_tiling(Load& l, double tiles, double area, double depth, std::size_t rank, const Figures& f) {
  const double waves = tiles / f.sm_count;
  l.tilings[l.tiling_count++] = {.seconds = 2 * tiles * area * depth / f.flops_per_s, .waves = waves, .rank = rank};
}

void add_product_tilings(Load& l, double groups, double m, double n, double k, const Figures& f) {
  for (std::size_t rank = 0; rank < kTileRanks; ++rank) {
    const auto [a, b] = kTiles[rank];
    add_tiling(l, groups * std::ceil(m / a) * std::ceil(n / b), a * b, k, rank, f);
    if (a != b && l.tiling_count < l.tilings.size())
      add_tiling(l, groups * std::ceil(m / b) * std::ceil(n / a), a * b, k, rank, f);
  }
}

// log2 with a floor: a coordinate below every grid, never -inf.
double coordinate(double value) { return std::log2(std::max(value, 1e-3)); }

struct Fill {
  Load& l;
  const Figures& f;
  bool with_cast;

  void operator()(const work::Gemm& g) const {
    add_product_tilings(l, 1, g.m, g.n, g.k, f);
    l.depth = g.k;
    l.max_splits = std::max(1.0, g.k / kSplitDepth);
    if (with_cast) {
      l.cast_s = kCastBytes * g.m * g.k / f.bytes_per_s;
      l.launches = 2;  // the cast is a kernel of its own, which the product waits for
    }
    l.at = {coordinate(g.m), coordinate(g.n), coordinate(g.k)};
    l.cut = {std::log2(std::ceil(g.m / kTile) * std::ceil(g.n / kTile) / f.sm_count), coordinate(g.k)};
  }

  void operator()(const work::Attention& a) const {
    const double blocks = a.b * a.h_q * std::ceil(a.s_q / kQueryTile);
    // Matrix units and exponentials overlap in part: the root of the squares lies between the longer and the sum.
    const double scores = l.flops_s * f.flops_per_s / (2 * (a.d_qk + a.d_v));
    const double exponentials = f.exps_per_s > 0 ? scores / f.exps_per_s : 0;
    l.tilings[l.tiling_count++] = {
        .seconds = std::hypot(l.flops_s, exponentials), .waves = blocks / f.sm_count, .rank = 0};
    if (with_cast)
      l.cast_s = kCastBytes * a.b * (a.s_q * a.h_q * a.d_qk + a.s_kv * a.h_kv * (a.d_qk + a.d_v)) / f.bytes_per_s;
    l.depth = a.is_causal ? std::max(a.s_kv - a.s_q / 2, 1.0) : a.s_kv;
    l.at = {coordinate(a.s_q), coordinate(a.b * a.h_q), coordinate(a.h_q / std::max(a.h_kv, 1.0))};
  }

  void operator()(const work::Decode& d) const {
    l.tilings[l.tiling_count++] = {.seconds = l.flops_s, .waves = d.b * d.h_kv / f.sm_count, .rank = 0};
    l.depth = d.s_kv;
    l.at = {coordinate(d.s_kv), coordinate(d.b * d.h_kv), coordinate(d.h_q * d.s_q / std::max(d.h_kv, 1.0))};
  }

  void operator()(const work::MoeMlp& m) const {
    const double rows = m.rows * m.imbalance;
    const double active = std::max(1.0, std::min(m.num_experts, rows));
    const double each = rows / active;
    // The three projections as one product of the same FLOPs: n = 3 width.
    add_product_tilings(l, active, each, 3 * m.width, m.hidden, f);
    l.depth = std::min(m.hidden, m.width);
    l.at = {coordinate(each), coordinate(active), coordinate(m.hidden), coordinate(m.width)};
  }

  void operator()(const work::Stream& s) const {
    l.launches = s.kernels;
    l.at = {coordinate(s.bytes)};
  }
  void operator()(const work::Quantize& q) const { l.at = {coordinate(q.m * q.k)}; }
  void operator()(const work::Collective& c) const {
    l.launches = coordinate(std::max(c.gpus, 2.0));
    l.at = {coordinate(c.bytes), coordinate(c.gpus)};
  }
  void operator()(const work::MoeExchange& x) const {
    l.at = {coordinate(x.tokens), coordinate(x.hidden), coordinate(x.topk)};
  }
};

}  // namespace

Load load(const work::Op& op, work::Dtype dtype, const Figures& figures, bool with_cast) {
  Load l;
  const double rate = uses_link(kind_of(op)) ? figures.link_bytes_per_s : figures.bytes_per_s;
  l.bytes_s = work::bytes(op, dtype).value / rate;
  if (figures.l2_bytes > 0) l.cache_ratio = work::bytes(op, dtype).value / figures.l2_bytes;
  if (uses_compute(kind_of(op))) l.flops_s = work::flops(op).value / figures.flops_per_s;
  l.sm_count = figures.sm_count;
  std::visit(Fill{l, figures, with_cast}, op);
  return l;
}

}  // namespace traincost::calibrate
