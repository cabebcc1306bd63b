#include <fmt/format.h>

#include <cmath>
#include <optional>

#include <traincost/app/compared_jobs.hpp>
#include <traincost/report/sections.hpp>
#include <traincost/scenario/job_compare.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

using namespace scenario;
using report::Cell;
using report::Section;
using report::Table;

std::vector<JobKind> kinds(const std::string& job) {
  if (job == "all") return {JobKind::pretraining, JobKind::rollouts, JobKind::rl};
  const auto kind = parse_job_kind(job);
  if (!kind) throw InputError(fmt::format("--job: '{}', expected pretraining, rollouts, rl or all", job));
  return {*kind};
}

std::optional<double> usd_per_hour(const catalog::Chip& chip, const std::vector<catalog::Price>& prices) {
  const auto price =
      catalog::hourly_price(chip.id, chip.tdp_watts.value_or(units::Watts{}), prices, catalog::operating());
  if (!price) return std::nullopt;
  return price->p50.value * units::kHour.value;
}

Cell usd(const JobOnChip& row, const std::optional<double>& per_hour) {
  constexpr double kMillionTokens = 1e6;
  if (!row.gpu_seconds || !per_hour) return {};
  return *row.gpu_seconds * kMillionTokens / units::kHour.value * *per_hour;
}

// Factors that change nothing are left out.
std::string penalties(const JobOnChip& row) {
  constexpr double kWorthNaming = 0.005;
  std::string text;
  for (const auto& p : row.penalties)
    if (std::abs(p.factor - 1) > kWorthNaming)
      text += fmt::format("{}{} x{:.2f}", text.empty() ? "" : ", ", p.what, p.factor);
  return text;
}

Section section(const JobSetting& setting, const std::vector<catalog::Chip>& chips, const std::vector<JobOnChip>& rows,
                const std::vector<catalog::Price>& prices) {
  Table table{.columns = {{"job", "job"},
                          {"chip", "chip"},
                          {"gpu_seconds_per_token", "GPU-ms per 1000 tokens", 1e-6, 0},
                          {"chips_to_match", "chips to match one of the first", 1, 2},
                          {"usd_per_million_tokens", "USD per million tokens", 1, 3},
                          {"limit", "limited by"},
                          {"penalties", "against the first"},
                          {"why_not", ""}},
              .rows = {}};
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto& row = rows[i];
    table.rows.push_back({std::string{to_string(setting.kind)}, row.chip, report::cell(row.gpu_seconds),
                          report::cell(row.against_first), usd(row, usd_per_hour(chips[i], prices)), row.limit,
                          penalties(row), row.why_not});
  }
  return {std::string{to_string(setting.kind)}, "", table};
}

std::vector<std::string> notes(const JobSetting& setting) {
  const std::string walk =
      "against the first: what changes as one figure after the other takes this chip's value (compute, memory "
      "bandwidth, "
      "link, network, capacity); kernels: what is left, the chip's own timings or layout";
  return {
      fmt::format("{} on {:.0f} GPUs, each chip in its usual cluster at its own best layout", setting.model.id,
                  setting.gpus),
      fmt::format(
          "rollouts: caches of {:.0f} tokens, experts over {:.0f} GPUs, as many answers at once as pay [assumed]",
          setting.context, setting.expert_gpus),
      "rl: rounds as DeepSeek-R1-Zero's at answers of 8,500 tokens [assumed]",
      "limited by: the figure of which a tenth more would help most",
      walk,
      "chips to match: the same work in the same time, scaling taken as linear",
  };
}

Table joined(const std::vector<Section>& sections) {
  Table all = sections.front().table;
  for (std::size_t i = 1; i < sections.size(); ++i)
    all.rows.insert(all.rows.end(), sections[i].table.rows.begin(), sections[i].table.rows.end());
  return all;
}

}  // namespace

std::string compared_jobs(const std::string& job, const cost::Request& request, const std::vector<catalog::Chip>& chips,
                          const calibrate::Efficiency& efficiency, const std::vector<catalog::Price>& prices,
                          report::Format format) {
  std::vector<Section> sections;
  JobSetting setting{.model = request.model, .gpus = request.gpus};
  for (const auto kind : kinds(job)) {
    setting.kind = kind;
    sections.push_back(section(setting, chips, compare(setting, chips, efficiency), prices));
  }
  if (format == report::Format::csv) return report::csv(joined(sections));
  sections.push_back(report::notes("assumptions", "Assumptions", notes(setting)));
  return report::render(sections, format);
}

}  // namespace traincost::app
