#include <traincost/scenario/rule_figures.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

namespace traincost::scenario {
namespace {

struct FigureName {
  std::string_view key, text;
};
constexpr std::array<FigureName, kFigureCount> kNames{{
    {"tpp", "TPP"},
    {"performance_density", "performance density"},
    {"memory_gb_per_s", "memory GB/s"},
    {"io_gb_per_s", "I/O GB/s"},
    {"link_gb_per_s", "link GB/s"},
    {"memory_plus_io_gb_per_s", "memory + I/O GB/s"},
    {"memory_plus_link_gb_per_s", "memory + link GB/s"},
    {"is_datacenter", "data-centre"},
    {"is_nonplanar", "non-planar"},
    {"hbm_gb_per_s_per_mm2", "HBM GB/s/mm2"},
    {"is_co_packaged", "co-packaged"},
    {"training_ops", "training operations"},
    {"is_bio_sequence", "biological sequences"},
    {"is_open_weights", "open weights"},
    {"transistors", "transistors"},
    {"has_hbm", "HBM"},
    {"is_packaged_outside_d5", "packaged outside D:5"},
    {"is_authorized_designer", "approved or authorized designer"},
    {"consignee_tpp_per_year", "TPP per consignee and year"},
    {"country_tpp", "cumulative TPP of the country"},
    {"prc_to_us_volume", "PRC / US volume"},
    {"listed_ownership", "ownership by listed parties"},
    {"is_state_funded", "state-funded"},
}};

struct Format {
  std::string_view name;
  std::optional<double> ops;  // dense, per second
  double bits;
};

// 15 CFR 774 Supp. 1, 3A090 technical notes: TPP = 2 x MacTOPS x bits; a multiply-accumulate counts as two operations,
// as in the data sheet's TOPS. Dense, never sparse.
void set_tpp(RuleFigures& figures, const catalog::Chip& chip, const Reading& reading) {
  const auto ops = [](const auto& rate) { return rate ? std::optional<double>{rate->value} : std::nullopt; };
  const std::initializer_list<Format> formats{
      {"fp64", ops(chip.fp64_dense_flops), 64}, {"tf32", ops(chip.tf32_dense_flops), reading.tf32_bits},
      {"bf16", ops(chip.bf16_dense_flops), 16}, {"fp16", ops(chip.fp16_dense_flops), 16},
      {"fp8", ops(chip.fp8_dense_flops), 8},    {"int8", ops(chip.int8_dense_ops), 8},
      {"fp4", ops(chip.fp4_dense_flops), 4},
  };
  auto& tpp = figures[Figure::tpp];
  for (const auto& format : formats) {
    if (!format.ops) continue;
    const double candidate = *format.ops / units::kTera * format.bits;
    if (tpp && *tpp >= candidate) continue;
    tpp = candidate;
    figures.tpp_format = fmt::format("{} x {} bits", format.name, format.bits);
  }
  if (reading.tpp_source == TppSource::vendor && chip.published_tpp) {
    tpp = chip.published_tpp;
    figures.tpp_format = "the vendor's own figure";
  }
}

std::optional<double> flag(const std::optional<bool>& value) {
  return value ? std::optional<double>{*value ? 1.0 : 0.0} : std::nullopt;
}

std::optional<double> sum(std::optional<double> a, std::optional<double> b) {
  return a && b ? std::optional<double>{*a + *b} : std::nullopt;
}

// The catalogue states one direction; the rules add both.
std::optional<double> both_directions(const std::optional<units::BytesPerSecond>& one_way) {
  return one_way ? std::optional<double>{2 * one_way->value / units::kGiga} : std::nullopt;
}

// A chip that shares a scale-up link with no other has none: zero, not unknown.
std::optional<double> link_both_directions(const catalog::Chip& chip) {
  if (!chip.link_bytes_per_s && chip.scale_up_gpus == 1) return 0;
  return both_directions(chip.link_bytes_per_s);
}

// Only non-planar dies count for the density; a chip on a planar process has no applicable area and no density.
void set_density(RuleFigures& figures, const catalog::Chip& chip, const Reading& reading) {
  const auto area = reading.die_area_mm2 ? reading.die_area_mm2 : chip.die_area_mm2;
  const auto& tpp = figures[Figure::tpp];
  if (chip.is_nonplanar == false) {
    figures[Figure::performance_density] = 0;
  } else if (area && tpp) {
    figures[Figure::performance_density] = *tpp / *area;
  }
}

}  // namespace

std::string_view to_string(Figure figure) { return kNames[static_cast<std::size_t>(figure)].text; }
std::string_view key(Figure figure) { return kNames[static_cast<std::size_t>(figure)].key; }

bool is_flag(Figure f) {
  using enum Figure;
  constexpr std::array kFlags{is_datacenter,          is_nonplanar,           is_co_packaged,
                              is_bio_sequence,        is_open_weights,        has_hbm,
                              is_packaged_outside_d5, is_authorized_designer, is_state_funded};
  return std::ranges::find(kFlags, f) != kFlags.end();
}

std::optional<Figure> parse_figure(std::string_view key) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i].key == key) return static_cast<Figure>(i);
  return std::nullopt;
}

RuleFigures rule_figures(const catalog::Chip& chip, const Reading& reading) {
  RuleFigures figures{.chip = chip.id, .values = {}, .tpp_format = {}};
  set_tpp(figures, chip, reading);
  set_density(figures, chip, reading);
  const auto link = link_both_directions(chip);
  const auto io = sum(link, both_directions(chip.host_bytes_per_s));
  auto& memory = figures[Figure::memory_gb_per_s];
  if (chip.memory_bytes_per_s) memory = chip.memory_bytes_per_s->value / units::kGiga;
  figures[Figure::link_gb_per_s] = link;
  figures[Figure::io_gb_per_s] = io;
  figures[Figure::memory_plus_io_gb_per_s] = sum(memory, io);
  figures[Figure::memory_plus_link_gb_per_s] = sum(memory, link);
  figures[Figure::is_datacenter] = flag(chip.is_datacenter);
  figures[Figure::is_nonplanar] = flag(chip.is_nonplanar);
  figures[Figure::is_co_packaged] = 1;  // an accelerator's memory is on the package or the board, never sold as a stack
  return figures;
}

}  // namespace traincost::scenario
