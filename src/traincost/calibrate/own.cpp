#include <traincost/calibrate/own.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include <traincost/calibrate/kind.hpp>
#include <traincost/calibrate/surface.hpp>

namespace traincost::calibrate {
namespace {
using measure::Mode;
using measure::Row;

std::string shape_key(const Row& row) {
  return fmt::format("{} {} {}", row.chip, work::to_string(surface_dtype(row.op, row.dtype)), work::describe(row.op));
}

// The mode to calibrate from first.
std::size_t rank(const Row& row) {
  constexpr std::array kOfDecoding{Mode::graph, Mode::cold, Mode::hot, Mode::unstated};
  constexpr std::array kOfTheRest{Mode::cold, Mode::graph, Mode::hot, Mode::unstated};
  const auto& order = is_decode(kind_of(row.op)) ? kOfDecoding : kOfTheRest;
  return static_cast<std::size_t>(std::ranges::find(order, row.mode) - order.begin());
}

using Best = std::map<std::string, std::size_t>;

// Shape -> the least rank among our rows of it.
Best best_modes(const std::vector<Row>& rows) {
  Best best;
  for (const auto& row : rows)
    if (row.is_own) {
      const auto [at, is_new] = best.emplace(shape_key(row), rank(row));
      at->second = std::min(at->second, rank(row));
    }
  return best;
}

void keep_fastest(std::map<std::string, Row>& fastest, const std::string& key, const Row& row) {
  const auto [at, is_new] = fastest.emplace(key, row);
  if (row.latency < at->second.latency) at->second = row;
}

bool is_attention(const Row& row) { return std::holds_alternative<work::Attention>(row.op); }

// What the surfaces of attention do not hold but take from ratios.
bool is_variant(const Row& row) {
  const auto* a = std::get_if<work::Attention>(&row.op);
  return a != nullptr && (a->pass == work::Pass::backward || (a->d_qk == a->d_v && a->d_qk != 128));
}

double distance(const Disagreement& d) { return std::fabs(std::log(d.ratio())); }

}  // namespace

Preferred prefer_own(const std::vector<Row>& rows, const std::vector<Row>& published) {
  const Best modes = best_modes(rows);
  if (modes.empty()) return {.rows = rows, .ratios = {}, .disagreements = {}};
  std::set<std::string> own_chips;
  for (const auto& row : rows)
    if (row.is_own) own_chips.insert(row.chip);
  std::map<std::string, Row> ours, others;
  Preferred out;
  const auto visit = [&](const Row& row, bool is_fitted) {
    if (!own_chips.contains(row.chip)) return is_fitted;
    const auto key = shape_key(row);
    const auto at = modes.find(key);
    if (at == modes.end()) return is_fitted;
    if (!row.is_own) {
      keep_fastest(others, key, row);
      return false;
    }
    if (rank(row) != at->second) return false;
    keep_fastest(ours, key, row);
    return true;
  };
  for (const auto& row : rows) {
    if (!visit(row, true)) continue;
    if (row.is_own && is_attention(row)) out.ratios.push_back(row);
    if (!row.is_own || !is_variant(row)) out.rows.push_back(row);
  }
  for (const auto& row : published) visit(row, false);
  for (const auto& [key, other] : others) {
    // Other sources' fp8 products cast their activation inside the timing.
    if (casts_inside(kind_of(other.op), other.dtype)) continue;
    const Disagreement d{.own = ours.at(key), .other = other};
    if (std::fabs(d.ratio() - 1) > kAgreement) out.disagreements.push_back(d);
  }
  std::ranges::stable_sort(out.disagreements, std::greater{}, distance);
  return out;
}

}  // namespace traincost::calibrate
