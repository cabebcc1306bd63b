#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <traincost/calibrate/fitted.hpp>
#include <traincost/calibrate/transfer.hpp>
#include <traincost/calibrate/truths.hpp>
#include <traincost/catalog/embedded.hpp>
#include <traincost/units/error.hpp>

namespace traincost::calibrate {
namespace {
using work::Dtype;

// A surface made for this chip, or the reason why there is none.
struct Bound {
  const Surface* surface = nullptr;
  Figures figures;
  Origin origin = Origin::measured;
  double log_sigma = 0, sustained = 1;
  Dtype used = Dtype::bf16;
  std::string missing;
};

bool is_same_width(Dtype a, Dtype b) { return (a == Dtype::fp16 && b == Dtype::bf16) || a == b; }

constexpr double kDatasheetSigma = 0.5;  // no timing anywhere: a factor 1.6 either way

// No timing of the kind at all: a plain roofline.
const Surface& roofline(Kind kind) {
  static const auto kAll = [] {
    std::array<Surface, kKinds> all;
    for (std::size_t k = 0; k < kKinds; ++k) all[k].kind = static_cast<Kind>(k);
    return all;
  }();
  return kAll[static_cast<std::size_t>(kind)];
}

double combine(std::initializer_list<double> sigmas) {
  double sum = 0;
  for (double s : sigmas) sum += s * s;
  return std::sqrt(sum);
}

const TransferError* transfer_error(const Efficiency::Fitted& fitted, Kind kind) {
  const auto found = std::ranges::find(fitted.transfers, kind, &TransferError::kind);
  return found == fitted.transfers.end() ? nullptr : &*found;
}

double transfer_sigma(const TransferError* error, Choice::From from) {
  if (error == nullptr || from == Choice::From::own) return 0;
  return from == Choice::From::sibling ? error->sibling_sigma : error->pooled_sigma;
}

void take(Bound& b, const Efficiency::Fitted& fitted, const Choice& choice, Kind kind, Dtype dtype) {
  if (choice.surface == nullptr) {
    b.surface = &roofline(kind);
    b.origin = Origin::datasheet;
    b.log_sigma = kDatasheetSigma;
    return;
  }
  const bool is_format = is_same_width(dtype, choice.dtype);
  const auto* error = transfer_error(fitted, kind);
  b.surface = choice.surface;
  b.origin = choice.from == Choice::From::own && is_format ? Origin::measured : Origin::transferred;
  // Another format of the same chip is as far as another chip of the same architecture.
  const double format_sigma = is_format ? 0 : transfer_sigma(error, Choice::From::sibling);
  b.log_sigma = combine({choice.surface->residual_sigma, choice.surface->provider_sigma,
                         transfer_sigma(error, choice.from), format_sigma});
}

Bound bind(const Efficiency::Fitted& fitted, const catalog::Chip& chip, Kind kind, Dtype dtype) {
  Bound b;
  b.used = dtype;
  try {
    b.figures = figures(chip, kind, dtype);
  } catch (const InputError& error) {
    b.missing = error.what();
    return b;
  }
  Dtype asked = dtype;
  if (uses_compute(kind) && !is_decode(kind)) {  // a cache keeps its format on any chip
    if (const auto rate = catalog::rate(chip, dtype)) b.used = asked = rate->used;
  }
  const auto choice = choose(fitted, as_donor(chip), kind, asked);
  take(b, fitted, choice, kind, asked);
  if (choice.surface != nullptr && choice.from != Choice::From::own)
    b.sustained =
        sustained(*choice.surface, watts_per_flops(chip, choice.dtype), typical(fitted.surfaces, kind, choice.dtype));
  return b;
}

}  // namespace

std::string_view to_string(Origin origin) {
  constexpr std::array<std::string_view, 3> kNames{"measured", "transferred", "datasheet"};
  return kNames[static_cast<std::size_t>(origin)];
}

struct ChipEfficiency::Surfaces {
  std::shared_ptr<const Efficiency::Fitted> fitted;  // keeps the surfaces alive
  std::array<std::array<Bound, kDtypes>, kKinds> bound;
  Ratio backward, backward_mla, forward_fp8, forward_fp8_mla, forward_mx, forward_mx_mla, head_dim_64;
};

namespace {

Ratio ratio_or_one(const Efficiency::Fitted& fitted, const char* name, const std::string& arch) {
  const auto* found = find_ratio(fitted, name, arch);
  return found ? *found : Ratio{.name = name, .arch = arch};
}

constexpr double kTimedWidth = 128;  // of a head, in the tables

// Rate at head width d over that at 128: falls with log d below 128 as between 64 and 128; flat above.
double width_factor(const Ratio& at_64, double d) {
  const double halvings = std::clamp(std::log2(kTimedWidth / d), 0.0, 2.0);
  return std::pow(at_64.value, halvings);
}

// Of training's kernels in a one-byte format over the tables'.
const Ratio& one_byte_forward(const ChipEfficiency::Surfaces& s, Kind kind, Dtype used) {
  if (used == Dtype::mxfp8) return kind == Kind::attention ? s.forward_mx : s.forward_mx_mla;
  return kind == Kind::attention ? s.forward_fp8 : s.forward_fp8_mla;
}

struct Adjusted {
  work::Op op;  // the form that the tables time
  double slower = 1, log_sigma = 0;
};

Adjusted adjust(const ChipEfficiency::Surfaces& s, const work::Attention& a, Kind kind, Dtype dtype) {
  Adjusted out{.op = a};
  const auto& bound = s.bound[static_cast<std::size_t>(kind)][static_cast<std::size_t>(dtype)];
  if (work::bytes_per_element(bound.used) < 2) {
    const auto& ratio = one_byte_forward(s, kind, bound.used);
    out.slower /= ratio.value;
    out.log_sigma = ratio.log_sigma;
  }
  auto timed = a;
  if (kind == Kind::attention && a.d_qk < kTimedWidth) {
    out.slower /= width_factor(s.head_dim_64, a.d_qk);
    out.log_sigma = combine({out.log_sigma, s.head_dim_64.log_sigma});
    // Fewer, wider heads of the same work: what the ratio is relative to.
    const double halves = kTimedWidth / a.d_qk;
    timed = {.b = a.b,
             .s_q = a.s_q,
             .s_kv = a.s_kv,
             .h_q = a.h_q / halves,
             .h_kv = a.h_kv / halves,
             .d_qk = kTimedWidth,
             .d_v = a.d_v * halves,
             .is_causal = a.is_causal};
  }
  timed.pass = work::Pass::forward;
  if (a.pass == work::Pass::backward) {
    const auto& ratio = kind == Kind::attention ? s.backward : s.backward_mla;
    auto forward = a;
    forward.pass = work::Pass::forward;
    out.slower *= work::flops(a) / work::flops(forward) / ratio.value;
    out.log_sigma = combine({out.log_sigma, ratio.log_sigma});
  }
  out.op = timed;
  return out;
}

// One GPU sends while it receives as much: half of a two-GPU all-gather's output each way.
work::Op timed_form(const work::Op& op) {
  const auto* c = std::get_if<work::Collective>(&op);
  if (c == nullptr || c->kind != work::CollectiveKind::send_recv) return op;
  return work::Collective{.kind = work::CollectiveKind::all_gather, .bytes = 2 * c->bytes, .gpus = 2};
}

Timing timing(const ChipEfficiency::Surfaces& s, const work::Op& op, Kind kind, Dtype dtype, double slower,
              double sigma) {
  const auto& b = s.bound[static_cast<std::size_t>(kind)][static_cast<std::size_t>(surface_dtype(op, dtype))];
  if (b.surface == nullptr) throw InputError(b.missing);
  const double time = slower * seconds(*b.surface, slowed(load(op, b.used, b.figures, false), b.sustained));
  return {.seconds = {time},
          .log_sigma = sigma == 0 ? b.log_sigma : combine({b.log_sigma, sigma}),
          .origin = b.origin,
          .dtype_used = uses_compute(kind) && !is_decode(kind) ? b.used : dtype};
}

}  // namespace

Timing ChipEfficiency::time(const work::Op& asked, Dtype dtype) const {
  if (const auto* g = std::get_if<work::Gemm>(&asked)) return timing(*surfaces_, *g, Kind::gemm, dtype, 1, 0);
  if (const auto* a = std::get_if<work::Attention>(&asked)) {
    const Kind kind = kind_of(asked);
    const auto adjusted = adjust(*surfaces_, *a, kind, dtype);
    return timing(*surfaces_, adjusted.op, kind, dtype, adjusted.slower, adjusted.log_sigma);
  }
  const work::Op op = timed_form(asked);
  return timing(*surfaces_, op, kind_of(op), dtype, 1, 0);
}

std::string ChipEfficiency::source(const work::Op& asked, Dtype dtype) const {
  const work::Op op = timed_form(asked);
  const Kind kind = kind_of(op);
  const auto& b = surfaces_->bound[static_cast<std::size_t>(kind)][static_cast<std::size_t>(surface_dtype(op, dtype))];
  if (b.surface == nullptr || b.surface->shapes == 0) return "data sheet";
  return fmt::format("{} {} of {}, {} shapes", to_string(kind), work::to_string(b.surface->dtype), b.surface->chip,
                     b.surface->shapes);
}

ChipEfficiency Efficiency::on(const catalog::Chip& chip) const {
  auto s = std::make_shared<ChipEfficiency::Surfaces>();
  s->fitted = fitted_;
  for (std::size_t kind = 0; kind < kKinds; ++kind)
    for (std::size_t dtype = 0; dtype < kDtypes; ++dtype)
      s->bound[kind][dtype] = bind(*fitted_, chip, static_cast<Kind>(kind), static_cast<Dtype>(dtype));
  s->backward = ratio_or_one(*fitted_, kBackward, chip.arch);
  s->backward_mla = ratio_or_one(*fitted_, kBackwardMla, chip.arch);
  s->forward_fp8 = ratio_or_one(*fitted_, kForwardFp8, chip.arch);
  s->forward_fp8_mla = ratio_or_one(*fitted_, kForwardFp8Mla, chip.arch);
  s->forward_mx = ratio_or_one(*fitted_, kForwardMx, chip.arch);
  s->forward_mx_mla = ratio_or_one(*fitted_, kForwardMxMla, chip.arch);
  s->head_dim_64 = ratio_or_one(*fitted_, kHeadDim64, chip.arch);
  return ChipEfficiency(std::move(s));
}

const Efficiency& default_efficiency() {
  static const Efficiency kDefault = [] {
    for (const auto& file : catalog::embedded_calibration())
      if (file.name == "default.json") return from_json(file.text, "results/calibration/default.json");
    throw InputError("results/calibration/default.json: not embedded");
  }();
  return kDefault;
}

}  // namespace traincost::calibrate
