#include <traincost/cost/item_pricer.hpp>

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_map>

#include <traincost/cost/bill.hpp>
#include <traincost/cost/memory.hpp>
#include <traincost/cost/pipeline_cost.hpp>
#include <traincost/cost/update.hpp>

namespace traincost::cost {
namespace {

using units::Seconds;

constexpr std::size_t kMaxPlanTasks = std::size_t{1} << 22;  // of kept plans, 16 bytes each

/// Plans of pipelines, kept while their tasks are few enough.
class Plans {
 public:
  const PipelinePlan& of(const catalog::Model& model, const Layout& l) {
    const auto key = (static_cast<std::uint64_t>(l.pipeline_par) << 48) |
                     (static_cast<std::uint64_t>(l.interleave) << 36) | (static_cast<std::uint64_t>(l.schedule) << 34) |
                     static_cast<std::uint64_t>(std::ceil(micro_batches(l) - 1e-9));
    if (const auto found = plans_.find(key); found != plans_.end()) return found->second;
    if (tasks_ > kMaxPlanTasks) {
      plans_.clear();
      tasks_ = 0;
    }
    const auto& plan = plans_.emplace(key, pipeline_plan(model, l)).first->second;
    for (const auto& run : plan.schedule->runs) tasks_ += run.tasks.size();
    return plan;
  }

 private:
  std::unordered_map<std::uint64_t, PipelinePlan> plans_;
  std::size_t tasks_ = 0;
};

// Where ranks of other stages lie between those of one, groups change with the stages.
bool depends_on_stages(Placement placement) {
  return placement == Placement::pipeline_first || placement == Placement::packed;
}

// One set of block times that a pipeline runs with.
struct Lane {
  std::size_t recompute = 0;
  const BlockTable* blocks = nullptr;
  bool is_zero3 = false;
};

}  // namespace

class ItemPricer::Work {
 public:
  Work(const Space& space, const Job& job, const calibrate::ChipEfficiency& efficiency, const Constants& constants,
       bool prunes)
      : space_(space),
        job_(job),
        pricing_{job_, efficiency, constants},
        capacity_(capacity(job.chip)),
        prunes_(prunes),
        has_zero3_(std::ranges::count(space.shardings, Sharding::zero3) > 0),
        has_others_(std::ranges::count(space.shardings, Sharding::zero3) < std::ssize(space.shardings)),
        kept_(space.recomputes.size()),
        tables_(space.recomputes.size()),
        tables_zero3_(space.recomputes.size()),
        memory_(space.recomputes.size() * choices()) {}

  std::uint64_t price(std::uint64_t item, const std::function<void(const PricedLayout&)>& visit) {
    if (layouts_per_item(space_) == 0) return 0;
    first_ = item * layouts_per_item(space_);
    visit_ = &visit;
    pruned_ = 0;
    job_.layout = layout_at(space_, first_);
    if (!is_possible_item(space_, job_.model, job_.layout)) return 0;
    begin_item();
    for (stages_ = 0; stages_ < space_.pipeline_par.size(); ++stages_) {
      job_.layout.pipeline_par = space_.pipeline_par[stages_];
      has_zero3_tables_ = false;
      if (depends_on_stages(job_.layout.placement)) has_parts_ = false;
      for (order_ = 0; order_ < space_.orders.size(); ++order_) price_pipeline();
    }
    return pruned_;
  }

 private:
  [[nodiscard]] std::size_t choices() const { return space_.shardings.size() * space_.offloads.size(); }

  void begin_item() {
    has_parts_ = false;
    for (std::size_t r = 0; r < space_.recomputes.size(); ++r) {
      set_recompute(r);
      kept_[r] = activations(job_);
    }
    const Layout& l = job_.layout;
    const std::array key{l.gpus,
                         l.tensor_par,
                         l.context_par,
                         l.expert_par,
                         static_cast<double>(l.dtype),
                         static_cast<double>(l.placement)};
    if (key == update_key_) return;
    update_key_ = key;
    updates_.assign(space_.pipeline_par.size() * space_.orders.size() * space_.shardings.size(), std::nullopt);
  }

  void set_recompute(std::size_t r) {
    job_.layout.recompute = space_.recomputes[r].method;
    job_.layout.recompute_share = space_.recomputes[r].share;
  }

  void price_pipeline() {
    Layout& l = job_.layout;
    l.schedule = space_.orders[order_].schedule;
    l.interleave = space_.orders[order_].interleave;
    if (!is_possible_pipeline(space_, job_.model, l)) return;
    const PipelinePlan& plan = plans_.of(job_.model, l);
    loads_ = stage_loads(job_, plan.chunks.stages);
    lanes_.clear();
    for (std::size_t r = 0; r < space_.recomputes.size(); ++r) add_lanes(r);
    if (lanes_.empty()) return;
    price_blocks();
    for (std::size_t first = 0; first < lanes_.size(); first += kWide)
      price_lanes(plan, first, std::min(kWide, lanes_.size() - first));
  }

  // Memory of every choice; a lane for each set of block times that a choice which fits needs.
  void add_lanes(std::size_t r) {
    set_recompute(r);
    std::array<bool, 2> is_wanted{!prunes_ && has_others_, !prunes_ && has_zero3_};
    std::array<std::uint64_t, 2> possible{};
    auto* memory = &memory_[r * choices()];
    for (const auto sharding : space_.shardings) {
      job_.layout.sharding = sharding;
      const bool is_zero3 = sharding == Sharding::zero3;
      const bool is_idle = !is_possible_choice(space_, job_.layout);
      for (const auto& offload : space_.offloads) {
        job_.layout.offload = offload;
        *memory = is_idle ? -1 : fullest(job_, loads_, kept_[r]).total();
        if (!is_idle) ++possible[is_zero3];
        if (!is_idle && does_fit(*memory)) is_wanted[is_zero3] = true;
        ++memory;
      }
    }
    for (const bool is_zero3 : {false, true}) {
      if (possible[is_zero3] == 0) continue;
      if (is_wanted[is_zero3])
        lanes_.push_back({.recompute = r, .is_zero3 = is_zero3});
      else
        pruned_ += possible[is_zero3];
    }
  }

  [[nodiscard]] bool does_fit(double bytes) const { return !capacity_ || bytes <= capacity_->value; }

  void price_blocks() {
    if (!has_parts_) {
      has_parts_ = true;
      parts_ = block_parts(pricing_);
      if (has_others_) fill(tables_, *std::ranges::find_if(space_.shardings, is_not_zero3));
    }
    if (has_zero3_ && !has_zero3_tables_) {
      has_zero3_tables_ = true;
      fill(tables_zero3_, Sharding::zero3);
    }
    for (auto& lane : lanes_) lane.blocks = &(lane.is_zero3 ? tables_zero3_ : tables_)[lane.recompute];
  }

  static bool is_not_zero3(Sharding s) { return s != Sharding::zero3; }

  void fill(std::vector<BlockTable>& tables, Sharding sharding) {
    job_.layout.sharding = sharding;
    for (std::size_t r = 0; r < tables.size(); ++r) {
      set_recompute(r);
      tables[r] = block_table(block_costs(pricing_, parts_));
    }
  }

  void price_lanes(const PipelinePlan& plan, std::size_t first, std::size_t count) {
    const auto& kinds = plan.chunks.kinds;
    for (auto& times : times_) times.resize(kinds.size());
    durations_.resize(kinds.size() * kWorks);
    std::array<double, kWide> send{};
    send.fill(send_seconds(pricing_).value);
    for (std::size_t i = 0; i < kWide; ++i) {
      const auto& blocks = *lanes_[first + std::min(i, count - 1)].blocks;
      for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
        times_[i][kind] = chunk_times(pricing_, kinds[kind], blocks);
        const auto all = durations(times_[i][kind]);
        for (std::size_t work = 0; work < kWorks; ++work) durations_[kind * kWorks + work][i] = all[work];
      }
    }
    const auto ran = run<kWide>(*plan.schedule, durations_, send, scratch_);
    for (std::size_t i = 0; i < count; ++i) {
      const auto& lane = lanes_[first + i];
      price_choices(lane, pipeline_sums(plan, *lane.blocks, times_[i], Seconds{ran.makespan[i]}, ran.busiest[i]));
    }
  }

  void price_choices(const Lane& lane, const PipelineSums& sums) {
    set_recompute(lane.recompute);
    std::size_t choice = 0;
    for (std::size_t s = 0; s < space_.shardings.size(); ++s) {
      job_.layout.sharding = space_.shardings[s];
      const bool is_of_lane = (space_.shardings[s] == Sharding::zero3) == lane.is_zero3;
      for (const auto& offload : space_.offloads) {
        const double memory = memory_[lane.recompute * choices() + choice];
        const std::size_t rest = choice++;
        if (!is_of_lane || memory < 0) continue;
        job_.layout.offload = offload;
        const Seconds seconds = step_total(pricing_, sums, update(s), traffic(lane.recompute)).seconds();
        const auto place = (stages_ * space_.orders.size() + order_) * space_.recomputes.size() + lane.recompute;
        (*visit_)({.index = first_ + place * choices() + rest,
                   .gpus = job_.layout.gpus,
                   .step_seconds = seconds.value,
                   .memory_bytes = memory,
                   .busy_fraction = sums.kernels / seconds,
                   .fits = does_fit(memory)});
      }
    }
  }

  const UpdateCost& update(std::size_t s) {
    auto& cost = updates_[(stages_ * space_.orders.size() + order_) * space_.shardings.size() + s];
    if (!cost) cost = update_cost(pricing_, most_parameters(loads_));
    return *cost;
  }

  [[nodiscard]] HostTraffic traffic(std::size_t r) const {
    return job_.layout.offload == Offload{} ? HostTraffic{} : host_traffic(job_, loads_, kept_[r]);
  }

  const Space& space_;
  Job job_;  // its layout is the one being priced
  const Pricing pricing_;
  const std::optional<units::Bytes> capacity_;
  const bool prunes_, has_zero3_, has_others_;
  Plans plans_;

  const std::function<void(const PricedLayout&)>* visit_ = nullptr;
  std::uint64_t first_ = 0, pruned_ = 0;
  std::size_t stages_ = 0, order_ = 0;  // places in the space's lists

  bool has_parts_ = false, has_zero3_tables_ = false;
  BlocksOf<BlockParts> parts_;
  std::vector<Activations> kept_;                  // [recomputes]
  std::vector<BlockTable> tables_, tables_zero3_;  // [recomputes]
  std::array<double, 6> update_key_{};
  std::vector<std::optional<UpdateCost>> updates_;  // [pipeline_par, orders, shardings]
  std::vector<StageLoad> loads_;
  std::vector<double> memory_;  // [recomputes, shardings, offloads], -1: not possible
  std::vector<Lane> lanes_;
  std::array<std::vector<ChunkTimes>, kWide> times_;            // [kinds]
  std::vector<std::array<double, kWide>> durations_, scratch_;  // [kinds x kWorks], [tasks]
};

ItemPricer::ItemPricer(const Space& space, const Job& job, const calibrate::ChipEfficiency& efficiency,
                       const Constants& constants, bool prunes)
    : work_(std::make_unique<Work>(space, job, efficiency, constants, prunes)) {}
ItemPricer::~ItemPricer() = default;

std::uint64_t ItemPricer::price(std::uint64_t item, const std::function<void(const PricedLayout&)>& visit) {
  return work_->price(item, visit);
}

}  // namespace traincost::cost
