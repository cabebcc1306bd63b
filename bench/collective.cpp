#include <bench/collective.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include <traincost/catalog/model.hpp>

namespace traincost::bench {
namespace {

struct Kind {
  const char* name;
  work::CollectiveKind kind;
};
constexpr std::array kKinds{
    Kind{"all_reduce", work::CollectiveKind::all_reduce}, Kind{"all_gather", work::CollectiveKind::all_gather},
    Kind{"reduce_scatter", work::CollectiveKind::reduce_scatter}, Kind{"all_to_all", work::CollectiveKind::all_to_all}};
constexpr int kLeastLog2 = 12, kMostLog2 = 30;
constexpr double kTokens = 4096;  // of each GPU: DeepSeek-V3's micro-batch

void add_exchanges(std::vector<CollectiveCase>& all, const catalog::Model& m, int gpus) {
  if (!catalog::is_moe(m) || static_cast<int>(m.num_experts) % gpus != 0) return;
  for (const bool is_combine : {false, true}) {
    const work::Op op = work::MoeExchange{.tokens = kTokens,
                                          .hidden = m.hidden,
                                          .topk = m.topk,
                                          .num_experts = m.num_experts,
                                          .gpus = static_cast<double>(gpus),
                                          .is_combine = is_combine};
    // A token goes once to each GPU with one of its experts; the share of this GPU itself crosses no link.
    const double sent = work::bytes(op, work::Dtype::bf16).value * gpus / std::max(gpus - 1, 1);
    all.push_back({.name = (is_combine ? "combine " : "dispatch ") + m.id,
                   .op = op,
                   .buffer_bytes = gpus > 1 ? std::floor(sent) : 2 * kTokens * m.hidden});
  }
}

}  // namespace

std::vector<CollectiveCase> collective_cases(int gpus) {
  std::vector<CollectiveCase> all;
  for (const auto& kind : kKinds)
    for (int log2 = kLeastLog2; log2 <= kMostLog2; log2 += 2) {
      const auto bytes = static_cast<double>(std::int64_t{1} << log2);
      all.push_back({.name = kind.name,
                     .op = work::Collective{.kind = kind.kind, .bytes = bytes, .gpus = static_cast<double>(gpus)},
                     .buffer_bytes = bytes});
    }
  for (const auto& model : catalog::models()) add_exchanges(all, model, gpus);
  return all;
}

Job collective_job(const CollectiveCase& c, const catalog::Chip& chip) {
  const auto link = chip.link_bytes_per_s ? chip.link_bytes_per_s : chip.host_bytes_per_s;
  const auto bytes = work::bytes(c.op, work::Dtype::bf16);
  return {.case_name = c.name.substr(0, c.name.find(' ')),
          .provider = "nccl",
          .shape = fmt::format("{} bytes={:.0f}", c.name, c.buffer_bytes),
          .mode = measure::Mode::hot,
          .code_path = "library",
          .bytes = bytes,
          .floor = link ? bytes / *link : units::Seconds{},
          .fields = measure::fields_of(c.op),
          .buffer = {c.buffer_bytes},
          .skip = {},
          .prepare = {}};
}

}  // namespace traincost::bench
