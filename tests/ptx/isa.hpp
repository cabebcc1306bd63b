#pragma once

#include <bit>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "machine.hpp"

// What an instruction does: rows of a table. A pattern such as "add[.rn].{f32,f64}" stands for its expansions.
// To add an instruction, add a row to the isa_*.cpp of its class and a test to ptx_instructions_test.cpp.
namespace ptx {

struct Row {
  std::string_view pattern;
  Handler run = nullptr;
  Class kind = Class::kInteger;
  Flow flow = Flow::kStraight;
  std::int32_t member = -1;
  std::uint32_t mode = 0;
};

/// Op::mode of a barrier; Op::size is 1 when all lanes of the warp must come together.
enum BarrierMode : std::uint32_t { kBarrierSync, kBarrierArrive, kBarrierPopc, kBarrierAnd, kBarrierOr };

/// Row::member of an instruction whose last operand is the member mask.
inline constexpr std::int32_t kLastOperand = -2;

/// The modifiers of an opcode, taken one by one; what is left at the end is unknown.
class Mods {
 public:
  explicit Mods(std::string_view opcode);
  bool take(std::string_view name);
  /// The first of these that is there, or an empty text.
  std::string_view take_any(std::initializer_list<std::string_view> names);
  std::string_view take_last();
  void take_prefixed(std::string_view prefix);  // L1::evict_first and the like
  [[nodiscard]] bool empty() const { return names_.empty(); }

 private:
  std::vector<std::string_view> names_;
};

/// Instructions whose modifiers multiply (ld, cvt, setp, atom): false when a modifier is not known.
using Decode = bool (*)(Mods&, const Instruction&, Op&);
struct Family {
  std::string_view name;
  Decode decode = nullptr;
};

class Table {
 public:
  void add(std::initializer_list<Row> rows);
  void add(std::initializer_list<Family> families);
  /// Fills in what the instruction does; throws PtxError when it is not in the table.
  void decode(const Instruction& instruction, Op& op) const;

 private:
  std::unordered_map<std::string, Row> rows_;
  std::unordered_map<std::string_view, Decode> families_;
};

const Table& table();

void add_integer(Table& table);
void add_bits(Table& table);
void add_float(Table& table);
void add_half(Table& table);
void add_convert(Table& table);
void add_compare(Table& table);
void add_memory(Table& table);
void add_atomic(Table& table);
void add_async(Table& table);
void add_warp(Table& table);
void add_matrix(Table& table);
void add_control(Table& table);
void add_mbarrier(Table& table);
void add_bulk(Table& table);
void add_wgmma(Table& table);
void add_cluster(Table& table);

// ---- access to operands
template <class T>
T* lanes(Warp& warp, const Operand& operand) {
  constexpr int kWidth = std::countr_zero(sizeof(T));
  return reinterpret_cast<T*>(warp.base[operand.constant][kWidth] + operand.offset);
}

/// One lane of an operand that may be wider than T (PTX ISA 9.4.1: operand size exceeding instruction-type size).
template <class T>
T low(Warp& warp, const Operand& operand, int lane) {
  T value;
  const std::byte* at = warp.base[operand.constant][3] + operand.offset;
  std::memcpy(&value, at + static_cast<std::size_t>(lane) * operand.bytes, sizeof(T));
  return value;
}

/// Writes a value extended to the width of the register, with its sign when T has one.
template <class T>
void extend(Warp& warp, const Operand& operand, int lane, T value) {
  if (operand.sink) return;
  std::byte* at = warp.base[0][0] + operand.offset + static_cast<std::size_t>(lane) * operand.bytes;
  if constexpr (std::is_integral_v<T>) {
    const auto wide = static_cast<std::int64_t>(+value);
    std::memcpy(at, &wide, operand.bytes);
  } else {
    std::memcpy(at, &value, sizeof(T));
  }
}

inline Mask predicate(Warp& warp, const Operand& operand) {
  Mask value = *lanes<Mask>(warp, operand);
  if (operand.constant != 0) value = value != 0 ? kAll : 0;
  return operand.negated ? ~value : value;
}

inline void set_predicate(Warp& warp, const Operand& operand, Mask written, Mask value) {
  if (operand.sink) return;
  Mask& bits = *lanes<Mask>(warp, operand);
  bits = (bits & ~written) | (value & written);
}

// Operands are the same registers or others, never shifted by lanes: the loop over lanes may be vectorised.
#ifdef __clang__
#define PTX_NO_ALIASES _Pragma("clang loop vectorize(assume_safety)")
#else
#define PTX_NO_ALIASES _Pragma("GCC ivdep")
#endif

/// f(lane) for each lane of the mask; the full warp without a branch, so that the compiler vectorises it.
template <class F>
inline void each(Mask mask, F f) {
  if (mask == kAll) {
    PTX_NO_ALIASES
    for (int lane = 0; lane < kLanes; ++lane) f(lane);
  } else {
    for (; mask != 0; mask &= mask - 1) f(std::countr_zero(mask));
  }
}

template <class D, class S, class F>
void unary(Warp& warp, const Op& op, Mask mask) {
  D* d = lanes<D>(warp, op.arg[0]);
  const S* a = lanes<S>(warp, op.arg[1]);
  each(mask, [=](int lane) { d[lane] = static_cast<D>(F{}(a[lane])); });
}

template <class D, class S, class F, class S2 = S>
void binary(Warp& warp, const Op& op, Mask mask) {
  D* d = lanes<D>(warp, op.arg[0]);
  const S* a = lanes<S>(warp, op.arg[1]);
  const S2* b = lanes<S2>(warp, op.arg[2]);
  each(mask, [=](int lane) { d[lane] = static_cast<D>(F{}(a[lane], b[lane])); });
}

template <class D, class S, class S3, class F, class S2 = S>
void ternary(Warp& warp, const Op& op, Mask mask) {
  D* d = lanes<D>(warp, op.arg[0]);
  const S* a = lanes<S>(warp, op.arg[1]);
  const S2* b = lanes<S2>(warp, op.arg[2]);
  const S3* c = lanes<S3>(warp, op.arg[3]);
  each(mask, [=](int lane) { d[lane] = static_cast<D>(F{}(a[lane], b[lane], c[lane])); });
}

// ---- access to memory, with the checks and counters
enum class Touch : std::uint8_t { kLoad, kStore, kAtomic, kAsyncSource };

struct Pointers {
  std::array<std::byte*, kLanes> at;
  std::array<std::uint64_t, kLanes> address;
};

/// The host address of each lane's access of `bytes` bytes at operand `arg`, checked and counted.
void touch(Warp& warp, const Op& op, Mask mask, std::uint32_t arg, std::int64_t displacement, Space space,
           std::uint32_t bytes, Touch what, Pointers& out);

/// f(lane) in the order of the schedule: who wins when lanes store to one place, and the order of atomics.
template <class F>
void each_in_order(const Warp& warp, Mask mask, F f);

/// Op::mode of a wait for a phase.
enum PhaseMode : std::uint32_t { kMbarrierParity, kMbarrierState, kClusterPhase };

/// Whether the phase that these lanes wait for is over; bulk copies that could end it are completed first, as few as
/// will do (mbarrier.cpp).
[[nodiscard]] bool phase_over(Warp& warp, const Op& op, Mask mask);
/// What a phase lacks, for the text of a deadlock.
[[nodiscard]] std::string phase_state(Warp& warp, const Op& op, Mask mask);

inline std::uint32_t race_thread(const Warp& warp, int lane) {
  return warp.block->race_thread(warp.thread(static_cast<std::uint32_t>(lane)));
}

/// A shared address of the cluster: whose it is and where; faults when the block has exited.
struct SharedPlace {
  Block* block = nullptr;
  std::uint32_t address = 0;
};
[[nodiscard]] SharedPlace shared_place(Warp& warp, const Op& op, int lane, std::uint64_t address);

/// Address of an operand in one lane.
[[nodiscard]] std::uint64_t address_of(Warp& warp, const Operand& operand, int lane, std::int64_t displacement);

/// Checks bytes of shared memory that asynchronous work reads or writes (not for races).
void check_shared(Warp& warp, const Op& op, int lane, const Block& block, std::uint32_t address, std::uint32_t bytes,
                  Touch what);
/// The same for global memory, and counts them.
void touch_bulk(Warp& warp, const Op& op, int lane, std::uint64_t address, std::uint32_t bytes, Touch what);
/// Ends the launch because of a race with an earlier access.
[[noreturn]] void race_fault(Warp& warp, const Op& op, int lane, std::uint32_t address, std::uint32_t bytes,
                             const char* verb, const Races::Conflict& earlier);

/// What still is in flight when a cluster ends is a fault.
void check_bulk_done(Cluster& cluster);
void check_products_done(const Warp& warp);
/// A lane reads or writes a register that a wgmma in flight owns.
void check_locked(Warp& warp, const Op& op);

/// Completes the copies of these lanes whose group is older than `keep` (see isa_async.cpp).
void finish_copies(Warp& warp, Mask mask, std::uint32_t keep);

template <class F>
void each_in_order(const Warp& warp, Mask mask, F f) {
  Launch& launch = *warp.block->launch;
  switch (launch.options.order) {
    case Order::kForward:
      for (; mask != 0; mask &= mask - 1) f(std::countr_zero(mask));
      return;
    case Order::kReverse:
      while (mask != 0) {
        const int lane = 31 - std::countl_zero(mask);
        mask &= ~(Mask{1} << lane);
        f(lane);
      }
      return;
    case Order::kRandom: {
      // A rotation and a direction: cheap, and every lane may come first.
      const std::uint64_t bits = launch.random();
      const int start = static_cast<int>(bits % kLanes);
      const int step = (bits & 32U) != 0 ? 1 : kLanes - 1;
      for (int i = 0, lane = start; i < kLanes; ++i, lane = (lane + step) % kLanes) {
        if ((mask >> lane & 1U) != 0) f(lane);
      }
      return;
    }
  }
}

}  // namespace ptx
