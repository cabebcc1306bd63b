#include <gtest/gtest.h>

#include <traincost/catalog/cluster.hpp>
#include <traincost/cost/layer.hpp>
#include <traincost/cost/step.hpp>

namespace traincost::cost {
namespace {

using ExpertOverlap = Stack::ExpertOverlap;
using Exchange = Stack::Exchange;

// 8 GPUs of a stage; experts over 4 of them or over 16.
Job qwen(const char* chip, double expert_par = 4) {
  const auto* c = catalog::find_chip(catalog::chips(), chip);
  return {.model = *catalog::find_model(catalog::models(), "qwen3-235b-a22b"),
          .chip = *c,
          .cluster = catalog::default_cluster(*c),
          .layout = {.gpus = 128,
                     .pipeline_par = 8,
                     .expert_par = expert_par,
                     .interleave = 2,
                     .schedule = Schedule::interleaved,
                     .global_batch = 512,
                     .seq_len = 4096}};
}

double part(const Job& job, std::string_view name) {
  for (const auto& p : step(job, calibrate::default_efficiency()).parts)
    if (p.name == name) return p.seconds.value;
  return 0;
}
double exchange(const Job& job) { return part(job, "expert all-to-all (exposed)"); }
double host(const Job& job) { return part(job, "host launches"); }

TEST(StackEffects, AnExchangeHidesInAnInterleavedPipelineWhereItLeavesTheNode) {
  const auto shown = [](Job job, ExpertOverlap overlap) {
    job.stack.expert_overlap = overlap;
    return exchange(job);
  };
  const Job near = qwen("h100-sxm5-80gb"), far = qwen("h100-sxm5-80gb", 16);
  EXPECT_DOUBLE_EQ(shown(near, ExpertOverlap::network), shown(near, ExpertOverlap::none));
  EXPECT_LT(shown(near, ExpertOverlap::always), shown(near, ExpertOverlap::none) / 2);
  EXPECT_DOUBLE_EQ(shown(far, ExpertOverlap::network), shown(far, ExpertOverlap::always));
  EXPECT_LT(shown(far, ExpertOverlap::network), shown(far, ExpertOverlap::none) / 2);
  Job plain = far;
  plain.layout.interleave = 1;
  plain.layout.schedule = Schedule::one_f_one_b;
  EXPECT_DOUBLE_EQ(shown(plain, ExpertOverlap::network), shown(plain, ExpertOverlap::none));
}

TEST(StackEffects, ExchangesDifferInCopiesAndSms) {
  const auto shown = [](Job job, Exchange exchange_) {
    job.stack.exchange = exchange_;
    return exchange(job);
  };
  const Job hopper = qwen("h100-sxm5-80gb", 16), blackwell = qwen("b200-sxm");
  EXPECT_LT(shown(hopper, Exchange::deepep), shown(hopper, Exchange::all_to_all)) << "two nodes, eight experts";
  EXPECT_DOUBLE_EQ(shown(hopper, Exchange::hybridep), shown(hopper, Exchange::deepep));
  EXPECT_LT(shown(blackwell, Exchange::hybridep), shown(blackwell, Exchange::deepep));
}

double routed_bytes(Job job, Exchange exchange_) {
  job.stack.exchange = exchange_;
  double bytes = 0;
  for (const auto& kernel : layer_block(job, true, default_constants()).forward)
    if (const auto* stream = std::get_if<work::Stream>(&kernel.op); stream && kernel.is_routed) bytes += stream->bytes;
  return bytes;
}

TEST(StackEffects, TokensArePlacedByTheExchangeOrByKernels) {
  const Job job = qwen("h100-sxm5-80gb");
  const double tokens = job.layout.seq_len, row = job.model.hidden * 2, k = job.model.topk;
  const double none = routed_bytes(job, Exchange::hybridep);
  EXPECT_DOUBLE_EQ(routed_bytes(job, Exchange::deepep) - none, 2 * tokens * (1 + k) * row);
  EXPECT_DOUBLE_EQ(routed_bytes(job, Exchange::all_to_all) - none, 2 * tokens * (1 + 3 * k) * row);
}

TEST(StackEffects, GraphsLeaveTheHostWhatTheRouterDecides) {
  Constants slow = default_constants();
  slow.host_seconds = 1e-3;  // every launch is waited for
  const auto waits = [&](Job job, Stack::Graphs graphs, Routing routing) {
    job.stack.graphs = graphs;
    job.layout.routing = routing;
    for (const auto& p : step(job, calibrate::default_efficiency(), slow).parts)
      if (p.name == "host launches") return p.seconds.value;
    return 0.0;
  };
  using Graphs = Stack::Graphs;
  const Job blackwell = qwen("b200-sxm"), hopper = qwen("h100-sxm5-80gb");
  const double eager = waits(blackwell, Graphs::none, Routing::balanced);
  const double routed = waits(blackwell, Graphs::blackwell, Routing::balanced);
  EXPECT_GT(routed, 0);
  EXPECT_LT(routed, eager / 2);
  EXPECT_EQ(waits(blackwell, Graphs::blackwell, Routing::token_drop), 0) << "a capacity makes every shape known";
  EXPECT_DOUBLE_EQ(waits(hopper, Graphs::blackwell, Routing::balanced), waits(hopper, Graphs::none, Routing::balanced));
}

TEST(StackEffects, BlockedLaunchesAddToTheKernelsTime) {
  Job job = qwen("h100-sxm5-80gb");
  job.layout.micro_batch = 4;  // long kernels: the host is ahead
  const double ahead = host(job);
  job.stack.blocks_launches = true;
  EXPECT_GT(host(job), ahead + 0.1);
}

}  // namespace
}  // namespace traincost::cost
