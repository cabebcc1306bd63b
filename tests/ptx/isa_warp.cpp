#include <fmt/format.h>

#include <algorithm>

#include "async.hpp"
#include "dependency.hpp"

// shfl, vote, match, redux, activemask, barriers (PTX ISA 9.7.9.6, 9.7.13). The scheduler has made all lanes of the
// member mask meet here; the mask that arrives is theirs.
namespace ptx {
namespace {

using u32 = std::uint32_t;

enum class Shuffle : u32 { kUp, kDown, kBfly, kIdx };

// shfl d[|p], a, b, c, members
void shfl(Warp& warp, const Op& op, Mask mask) {
  const u32 outputs = op.vector;
  std::array<u32, kLanes> a;
  std::copy_n(lanes<u32>(warp, op.arg[outputs]), kLanes, a.begin());
  Mask in_range = 0;
  each(mask, [&](int i) {
    const auto lane = static_cast<u32>(i);
    const u32 b = lanes<u32>(warp, op.arg[outputs + 1])[i] & 31U;
    const u32 c = lanes<u32>(warp, op.arg[outputs + 2])[i];
    const u32 segment = c >> 8 & 31U;
    const u32 highest = (lane & segment) | (c & 31U & ~segment);
    u32 from = lane;
    bool valid = false;
    switch (static_cast<Shuffle>(op.mode)) {
      case Shuffle::kUp:
        from = lane - b;
        valid = static_cast<std::int32_t>(from) >= static_cast<std::int32_t>(highest);
        break;
      case Shuffle::kDown:
        from = lane + b;
        valid = from <= highest;
        break;
      case Shuffle::kBfly:
        from = lane ^ b;
        valid = from <= highest;
        break;
      case Shuffle::kIdx:
        from = (lane & segment) | (b & ~segment);
        valid = from <= highest;
        break;
    }
    if (!valid) from = lane;
    if ((mask >> from & 1U) == 0)
      fault(warp, op, i, fmt::format("shuffle reads lane {}, which is not in the mask {:#010x}", from, mask));
    in_range |= valid ? Mask{1} << lane : 0;
    if (!op.arg[0].sink) lanes<u32>(warp, op.arg[0])[i] = a[from];
  });
  if (outputs == 2) set_predicate(warp, op.arg[1], mask, in_range);
}

bool decode_shfl(Mods& mods, const Instruction&, Op& op) {
  const std::string_view mode = mods.take_any({"up", "down", "bfly", "idx"});
  op.mode = static_cast<u32>(mode == "up"     ? Shuffle::kUp
                             : mode == "down" ? Shuffle::kDown
                             : mode == "bfly" ? Shuffle::kBfly
                                              : Shuffle::kIdx);
  op.vector = static_cast<std::uint8_t>(op.args - 4);
  op.member = static_cast<std::int32_t>(op.args) - 1;
  op.run = shfl;
  op.kind = Class::kWarp;
  op.flow = Flow::kWarpSync;
  return !mode.empty() && mods.take("sync") && mods.take("b32");
}

void ballot(Warp& warp, const Op& op, Mask mask) {
  const Mask votes = predicate(warp, op.arg[1]) & mask;
  each(mask, [&](int lane) { lanes<u32>(warp, op.arg[0])[lane] = votes; });
}
enum : u32 { kAny, kEvery, kUniform };
void vote(Warp& warp, const Op& op, Mask mask) {
  const Mask votes = predicate(warp, op.arg[1]) & mask;
  const bool yes = op.mode == kAny ? votes != 0 : (op.mode == kEvery ? votes == mask : votes == mask || votes == 0);
  set_predicate(warp, op.arg[0], mask, yes ? kAll : 0);
}

template <class T>
void match_any(Warp& warp, const Op& op, Mask mask) {
  const T* a = lanes<T>(warp, op.arg[1]);
  std::array<Mask, kLanes> same{};
  each(mask, [&](int lane) {
    Mask bits = 0;
    for (Mask rest = mask; rest != 0; rest &= rest - 1) {
      const int other = std::countr_zero(rest);
      bits |= a[other] == a[lane] ? Mask{1} << other : 0;
    }
    same[static_cast<std::size_t>(lane)] = bits;
  });
  each(mask, [&](int lane) { lanes<u32>(warp, op.arg[0])[lane] = same[static_cast<std::size_t>(lane)]; });
}

// match.all d|p, a, members
template <class T>
void match_all(Warp& warp, const Op& op, Mask mask) {
  const bool with_predicate = op.args == 4;
  const T* a = lanes<T>(warp, op.arg[with_predicate ? 2 : 1]);
  const T first = a[std::countr_zero(mask)];
  bool equal = true;
  each(mask, [&](int lane) { equal = equal && a[lane] == first; });
  if (!op.arg[0].sink) each(mask, [&](int lane) { lanes<u32>(warp, op.arg[0])[lane] = equal ? mask : 0; });
  if (with_predicate) set_predicate(warp, op.arg[1], mask, equal ? kAll : 0);
}

enum : u32 { kAdd, kMin, kMax, kAnd, kOr, kXor };
template <class T>
void redux(Warp& warp, const Op& op, Mask mask) {
  const T* a = lanes<T>(warp, op.arg[1]);
  T out = a[std::countr_zero(mask)];
  each(mask & (mask - 1), [&](int lane) {
    switch (op.mode) {
      case kAdd:
        out = static_cast<T>(static_cast<u32>(out) + static_cast<u32>(a[lane]));
        break;
      case kMin:
        out = std::min(out, a[lane]);
        break;
      case kMax:
        out = std::max(out, a[lane]);
        break;
      case kAnd:
        out &= a[lane];
        break;
      case kOr:
        out |= a[lane];
        break;
      default:
        out ^= a[lane];
        break;
    }
  });
  each(mask, [&](int lane) { lanes<T>(warp, op.arg[0])[lane] = out; });
}

void activemask(Warp& warp, const Op& op, Mask mask) {
  each(mask, [&](int lane) { lanes<u32>(warp, op.arg[0])[lane] = mask; });
}

// elect.sync d|p, members: the lowest lane leads.
void elect(Warp& warp, const Op& op, Mask mask) {
  const int leader = std::countr_zero(mask);
  if (!op.arg[0].sink) each(mask, [&](int lane) { lanes<u32>(warp, op.arg[0])[lane] = static_cast<u32>(leader); });
  set_predicate(warp, op.arg[1], mask, Mask{1} << leader);
}

// bar.warp.sync is the one warp instruction that orders memory.
void warp_barrier(Warp& warp, const Op&, Mask mask) {
  take(warp, mask, (warp.resumed & mask) != 0);
  if (warp.block->races() == nullptr) return;
  std::array<u32, kLanes> threads;
  std::size_t count = 0;
  each(mask, [&](int lane) { threads[count++] = race_thread(warp, lane); });
  warp.block->races()->meet({threads.data(), count});
}

// bar and barrier: arrival and departure are the scheduler's (barrier.cpp); this hands out the result of a reduction.
void barrier_result(Warp& warp, const Op& op, Mask mask) {
  const u32 outputs = op.vector;
  if (outputs == 0) return;
  const Barrier& barrier = warp.block->barriers[lanes<u32>(warp, op.arg[outputs])[std::countr_zero(mask)] & 15U];
  if (op.mode == kBarrierPopc) {
    each(mask, [&](int lane) { lanes<u32>(warp, op.arg[0])[lane] = barrier.count; });
  } else {
    set_predicate(warp, op.arg[0], mask, (op.mode == kBarrierAnd ? barrier.all : barrier.any) ? kAll : 0);
  }
}

bool decode_bar(Mods& mods, const Instruction& text, Op& op) {
  if (mods.take("cluster")) return decode_cluster_barrier(mods, op);
  op.kind = Class::kBarrier;
  op.flow = Flow::kBarrier;
  op.run = barrier_result;
  op.vector = 0;
  mods.take("cta");
  // bar.* is barrier.*.aligned (PTX ISA 9.7.13.1): all lanes of the warp execute it together.
  op.size = static_cast<std::uint8_t>(mods.take("aligned") || text.opcode.starts_with("bar.") ? 1 : 0);
  if (mods.take("sync")) {
    op.mode = kBarrierSync;
    return true;
  }
  if (mods.take("arrive")) {
    op.mode = kBarrierArrive;
    return true;
  }
  op.vector = 1;
  const std::string_view what = mods.take_any({"popc", "and", "or"});
  op.mode = what == "popc" ? kBarrierPopc : (what == "and" ? kBarrierAnd : kBarrierOr);
  return mods.take("red") && !what.empty() && !mods.take_any({"u32", "pred"}).empty();
}

}  // namespace

void add_warp(Table& table) {
  constexpr Class kW = Class::kWarp;
  constexpr Flow kS = Flow::kWarpSync;
  table.add({Family{"shfl", decode_shfl}, Family{"bar", decode_bar}, Family{"barrier", decode_bar}});
  table.add({
      {"bar.warp.sync", warp_barrier, Class::kBarrier, kS, 0},
      {"vote.sync.ballot.b32", ballot, kW, kS, 2},
      {"vote.sync.any.pred", vote, kW, kS, 2, kAny},
      {"vote.sync.all.pred", vote, kW, kS, 2, kEvery},
      {"vote.sync.uni.pred", vote, kW, kS, 2, kUniform},
      {"match.any.sync.b32", match_any<u32>, kW, kS, 2},
      {"match.any.sync.b64", match_any<std::uint64_t>, kW, kS, 2},
      {"match.all.sync.b32", match_all<u32>, kW, kS, kLastOperand},
      {"match.all.sync.b64", match_all<std::uint64_t>, kW, kS, kLastOperand},
      {"redux.sync.add.{u32,s32}", redux<u32>, kW, kS, 2, kAdd},
      {"redux.sync.min.u32", redux<u32>, kW, kS, 2, kMin},
      {"redux.sync.min.s32", redux<std::int32_t>, kW, kS, 2, kMin},
      {"redux.sync.max.u32", redux<u32>, kW, kS, 2, kMax},
      {"redux.sync.max.s32", redux<std::int32_t>, kW, kS, 2, kMax},
      {"redux.sync.and.b32", redux<u32>, kW, kS, 2, kAnd},
      {"redux.sync.or.b32", redux<u32>, kW, kS, 2, kOr},
      {"redux.sync.xor.b32", redux<u32>, kW, kS, 2, kXor},
      {"activemask.b32", activemask, kW},
      {"elect.sync", elect, kW, kS, 2},
  });
}

}  // namespace ptx
