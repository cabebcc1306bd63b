#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include <traincost/catalog/chip.hpp>

namespace traincost::scenario {

/// What a rule may ask for. Bandwidths in GB/s (10^9), both directions added, as the rules write them.
enum class Figure {
  tpp,                  // total processing performance: bits x dense TOPS, the largest over the formats
  performance_density,  // TPP / mm2 of non-planar logic die
  memory_gb_per_s,      // DRAM
  io_gb_per_s,          // all inputs and outputs but memory: scale-up link and host
  link_gb_per_s,        // scale-up link alone
  memory_plus_io_gb_per_s,
  memory_plus_link_gb_per_s,
  is_datacenter,         // 1: designed or marketed for data centres
  is_nonplanar,          // 1: logic on a FinFET or gate-all-around process
  hbm_gb_per_s_per_mm2,  // of a memory stack
  is_co_packaged,        // 1: memory packaged with a dominant logic die
  training_ops,          // operations of a training run
  is_bio_sequence,       // 1: trained mainly on biological sequences
  is_open_weights,       // 1: weights published
  transistors,           // of the packaged logic
  has_hbm,
  is_packaged_outside_d5,
  is_authorized_designer,
  consignee_tpp_per_year,
  country_tpp,       // cumulative, 2025 to 2027
  prc_to_us_volume,  // cumulative units shipped to the PRC / shipped in the US
  listed_ownership,  // fraction held by listed parties
  is_state_funded,
};
inline constexpr std::size_t kFigureCount = static_cast<std::size_t>(Figure::is_state_funded) + 1;

std::string_view to_string(Figure figure);  // "TPP", "memory GB/s"
std::string_view key(Figure figure);        // "tpp", "memory_gb_per_s": in rule files
bool is_flag(Figure figure);                // yes or no, held as 1 or 0
std::optional<Figure> parse_figure(std::string_view key);

/// The figures of one thing (a chip, a run) that rules are applied to; unknown is nullopt.
struct RuleFigures {
  std::string chip;  // id, for rules that name chips
  std::array<std::optional<double>, kFigureCount> values;
  std::string tpp_format;  // "fp8 x 8 bits"

  std::optional<double>& operator[](Figure f) { return values[static_cast<std::size_t>(f)]; }
  const std::optional<double>& operator[](Figure f) const { return values[static_cast<std::size_t>(f)]; }
};

enum class TppSource { data_sheet /* max over formats of dense rate x bits */, vendor /* the vendor's own figure */ };

/// How the figures are read where the rules leave it open.
struct Reading {
  double tf32_bits = 19;  // stored width; 32 is its container. The rule text names neither.
  TppSource tpp_source = TppSource::data_sheet;
  std::optional<double> die_area_mm2;  // instead of the catalogue's
};

RuleFigures rule_figures(const catalog::Chip& chip, const Reading& reading = {});

}  // namespace traincost::scenario
