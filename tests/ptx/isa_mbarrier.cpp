#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "async.hpp"
#include "dependency.hpp"

// mbarrier (PTX ISA 9.7.13.15) and the fences of the proxies. An mbarrier is an object beside shared memory: its eight
// bytes may not be touched in another way. Its state token is the number of the phase.
namespace ptx {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr u32 kObjectBytes = 8;
constexpr u32 kMostArrivals = (1U << 20) - 1;

SharedPlace place_of(Warp& warp, const Op& op, int lane, std::uint32_t arg) {
  return shared_place(warp, op, lane, address_of(warp, op.arg[arg], lane, op.displacement[0]));
}

void end_phase(Mbarrier& mbarrier) {
  if (mbarrier.pending != 0 || mbarrier.transactions != 0) return;
  ++mbarrier.phase;
  mbarrier.pending = mbarrier.expected;
  mbarrier.done = std::make_shared<const Clock>(std::move(mbarrier.clock.clock));
  mbarrier.clock = {};
  mbarrier.done_resumed = std::exchange(mbarrier.resumed, false);
}

void check_race(Warp& warp, const Op& op, int lane, const SharedPlace& at, Access access) {
  Races* races = warp.block->races();
  Races::Conflict earlier;
  if (races == nullptr ||
      !races->access(race_thread(warp, lane), at.block->race_address(at.address), kObjectBytes, access, &op, earlier)) {
    return;
  }
  race_fault(warp, op, lane, at.address, kObjectBytes, "mbarrier access", earlier);
}

// mbarrier.init [a], count
void init(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) {
    const SharedPlace at = place_of(warp, op, lane, 0);
    const u32 count = low<u32>(warp, op.arg[1], lane);
    if (at.address % kObjectBytes != 0) fault(warp, op, lane, "misaligned: an mbarrier takes 8 aligned bytes");
    if (count == 0 || count > kMostArrivals) fault(warp, op, lane, fmt::format("an mbarrier for {} arrivals", count));
    if (at.block->mbarriers.contains(at.address)) fault(warp, op, lane, "misuse: an mbarrier already lies there");
    check_shared(warp, op, lane, *at.block, at.address, kObjectBytes, Touch::kStore);
    std::fill_n(at.block->shadow.data() + at.address, kObjectBytes, static_cast<std::uint8_t>(kBarrierObject));
    check_race(warp, op, lane, at, Access::kWrite);
    at.block->mbarriers[at.address] = {.expected = count, .pending = count};
  });
}

void invalidate(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) {
    const SharedPlace at = place_of(warp, op, lane, 0);
    mbarrier_at(warp, op, lane, *at.block, at.address);
    at.block->mbarriers.erase(at.address);
    std::fill_n(at.block->shadow.data() + at.address, kObjectBytes, static_cast<std::uint8_t>(kUnwritten));
  });
}

// mbarrier.arrive state, [a]{, count}; .expect_tx: state, [a], bytes; mbarrier.expect_tx [a], bytes.
enum : u32 { kArrive = 1, kExpect = 2, kToken = 4 };
void arrive(Warp& warp, const Op& op, Mask mask) {
  const u32 address = (op.mode & kToken) != 0 ? 1 : 0;
  each_in_order(warp, mask, [&](int lane) {
    const SharedPlace at = place_of(warp, op, lane, address);
    Mbarrier& mbarrier = use_mbarrier(warp, op, lane, *at.block, at.address);
    const bool given = op.args > address + 1;
    const u32 value = given ? low<u32>(warp, op.arg[address + 1], lane) : 1;
    const bool expects = (op.mode & kExpect) != 0;
    if (expects) mbarrier.transactions += value;
    if ((op.mode & kToken) != 0 && !op.arg[0].sink) lanes<u64>(warp, op.arg[0])[lane] = mbarrier.phase;
    if ((op.mode & kArrive) == 0) return;
    const u32 count = expects ? 1 : value;
    bring(warp, Mask{1} << lane, mbarrier.resumed);
    if (Races* races = warp.block->races()) races->arrive(race_thread(warp, lane), mbarrier.clock);
    if (mbarrier.pending < count) {
      fault(warp, op, lane,
            fmt::format("{} arrivals at an mbarrier that expects only {} more in phase {}", count, mbarrier.pending,
                        mbarrier.phase));
    }
    mbarrier.pending -= count;
    end_phase(mbarrier);
  });
}

bool decode_arrive(Mods& mods, const Instruction& text, Op& op) {
  const std::string_view what = mods.take_any({"arrive", "expect_tx"});
  op.mode = what == "arrive" ? kArrive | kToken : kExpect;
  if (what == "arrive" && mods.take("expect_tx")) op.mode |= kExpect;
  mods.take_any({"release", "relaxed"});
  mods.take_any({"cta", "cluster"});
  if (mods.take_any({"shared", "shared::cta", "shared::cluster"}).empty() || !mods.take("b64")) return false;
  if (text.args.front().kind == Arg::Kind::kAddress) op.mode &= ~kToken;
  op.run = arrive;
  return true;
}

// What each lane waits for: the number of a phase, or its parity. The lane may go on when that phase is over.
bool is_over(const Mbarrier& mbarrier, const Op& op, u64 wanted) {
  return op.mode == kMbarrierParity ? (mbarrier.phase & 1U) != wanted : mbarrier.phase > wanted;
}

u64 wanted_phase(Warp& warp, const Op& op, int lane) {
  return op.mode == kMbarrierParity ? u64{low<u32>(warp, op.arg[2], lane)} : low<u64>(warp, op.arg[2], lane);
}

// mbarrier.{test,try}_wait p, [a], {state, parity}
void wait(Warp& warp, const Op& op, Mask mask) {
  Mask over = 0;
  each(mask, [&](int lane) {
    const SharedPlace at = place_of(warp, op, lane, 1);
    const Mbarrier& mbarrier = use_mbarrier(warp, op, lane, *at.block, at.address);
    if (!is_over(mbarrier, op, wanted_phase(warp, op, lane))) return;
    over |= Mask{1} << lane;
    take(warp, Mask{1} << lane, mbarrier.done_resumed);
    if (Races* races = warp.block->races()) races->acquire(race_thread(warp, lane), mbarrier.done);
  });
  set_predicate(warp, op.arg[0], mask, over);
}

bool decode_wait(Mods& mods, const Instruction&, Op& op) {
  const std::string_view what = mods.take_any({"test_wait", "try_wait"});
  op.mode = mods.take("parity") ? kMbarrierParity : kMbarrierState;
  mods.take_any({"acquire", "relaxed"});
  mods.take_any({"cta", "cluster"});
  // try_wait may suspend the thread: here always, so that a wait without an end is seen as one.
  op.flow = what == "try_wait" ? Flow::kPhase : Flow::kYield;
  op.run = wait;
  return !mods.take_any({"shared", "shared::cta"}).empty() && mods.take("b64");
}

bool decode_mbarrier(Mods& mods, const Instruction& text, Op& op) {
  op.kind = Class::kBarrier;
  if (text.opcode.find("_wait") != std::string::npos) return decode_wait(mods, text, op);
  if (mods.take("init")) {
    op.run = init;
  } else if (mods.take("inval")) {
    op.run = invalidate;
  } else {
    return decode_arrive(mods, text, op);
  }
  return !mods.take_any({"shared", "shared::cta"}).empty() && mods.take("b64");
}

void fence_async(Warp& warp, const Op&, Mask mask) {
  Races* races = warp.block->races();
  if (races == nullptr) return;
  each(mask, [&](int lane) { races->fence(race_thread(warp, lane)); });
}

void nothing(Warp&, const Op&, Mask) {}

}  // namespace

Mbarrier& mbarrier_at(Warp& warp, const Op& op, int lane, Block& block, std::uint32_t address) {
  const auto found = block.mbarriers.find(address);
  if (found == block.mbarriers.end()) {
    fault(warp, op, lane, fmt::format("no mbarrier was initialised at shared address {}", address));
  }
  return found->second;
}

// Operations on an mbarrier do not race with one another, but all do with its initialisation.
Mbarrier& use_mbarrier(Warp& warp, const Op& op, int lane, Block& block, std::uint32_t address) {
  Mbarrier& mbarrier = mbarrier_at(warp, op, lane, block, address);
  check_race(warp, op, lane, {&block, address}, Access::kStrongRead);
  return mbarrier;
}

void complete_transactions(Mbarrier& mbarrier, std::int64_t bytes) {
  mbarrier.transactions -= bytes;
  end_phase(mbarrier);
}

bool phase_over(Warp& warp, const Op& op, Mask mask) {
  if (op.mode == kClusterPhase) return cluster_phase_over(warp, mask);
  bool over = true;
  each(mask, [&](int lane) {
    const SharedPlace at = place_of(warp, op, lane, 1);
    const Mbarrier& mbarrier = mbarrier_at(warp, op, lane, *at.block, at.address);
    const u64 wanted = wanted_phase(warp, op, lane);
    if (!is_over(mbarrier, op, wanted)) finish_loads(*at.block, at.address, mbarrier.phase);
    over = over && is_over(mbarrier, op, wanted);
  });
  return over;
}

std::string phase_state(Warp& warp, const Op& op, Mask mask) {
  if (op.mode == kClusterPhase) return cluster_phase_state(warp);
  const int lane = std::countr_zero(mask);
  const SharedPlace at = place_of(warp, op, lane, 1);
  const Mbarrier& mbarrier = mbarrier_at(warp, op, lane, *at.block, at.address);
  return fmt::format(" (mbarrier at {}: phase {} lacks {} of {} arrivals and {} bytes)", at.address, mbarrier.phase,
                     mbarrier.pending, mbarrier.expected, mbarrier.transactions);
}

void add_mbarrier(Table& table) {
  constexpr Class kC = Class::kControl;
  table.add({Family{"mbarrier", decode_mbarrier}});
  table.add({
      {"fence.proxy.async[.shared::cta]", fence_async, kC},
      {"fence.proxy.async.{shared::cluster,global}", fence_async, kC},
      {"fence.mbarrier_init.release.cluster", nothing, kC},
  });
}

}  // namespace ptx
