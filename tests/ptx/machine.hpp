#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "memory.hpp"
#include "module.hpp"
#include "ptx/ptx.hpp"
#include "race.hpp"

// The machine that executes a program: 32 lanes of a warp step together through the code; lanes that branch apart form
// groups, each with its own place, which merge again where they meet. The state is explicit, so a warp that waits is
// simply not stepped: no fibers.
namespace ptx {

__extension__ typedef unsigned __int128 u128;  // NOLINT(modernize-use-using): __extension__ needs it
__extension__ typedef __int128 s128;           // NOLINT(modernize-use-using)

using Mask = std::uint32_t;
inline constexpr int kLanes = 32;
inline constexpr Mask kAll = 0xffffffffU;

// Generic addresses (PTX ISA 5.1): global memory lies at its host address, the other spaces in windows that no host
// address reaches.
inline constexpr std::uint64_t kSharedWindow = std::uint64_t{1} << 60;
inline constexpr std::uint64_t kLocalWindow = std::uint64_t{1} << 61;

// A shared address of another block of the cluster holds its rank + 1 above these bits; 0 there: the block's own.
inline constexpr std::uint32_t kRankBits = 24;
inline constexpr std::uint32_t kOffsetMask = (std::uint32_t{1} << kRankBits) - 1;

struct Warp;
struct Block;
struct Cluster;
struct Op;
using Handler = void (*)(Warp&, const Op&, Mask);

enum class Space : std::uint8_t { kGeneric, kGlobal, kShared, kLocal, kParameter };

/// Where the 32 values of an operand lie: in the warp's registers or among the program's constants.
struct Operand {
  std::uint32_t offset = 0;
  std::uint8_t constant = 0;
  std::uint8_t bytes = 4;  // of one lane as declared; 0: a predicate, one bit a lane
  bool negated = false;    // of a predicate
  bool sink = false;       // "_"
};

/// kPhase: lanes that wait for a phase, of an mbarrier or of the cluster's barrier.
enum class Flow : std::uint8_t { kStraight, kBranch, kIndexedBranch, kExit, kWarpSync, kBarrier, kYield, kPhase };

struct Op {
  Handler run = nullptr;
  const Operand* arg = nullptr;  // vectors flattened
  std::uint32_t args = 0;
  std::array<std::int64_t, 3> displacement{};  // of the addresses among the operands
  Operand guard{};
  bool guarded = false;
  Flow flow = Flow::kStraight;
  Class kind = Class::kInteger;
  Space space = Space::kGeneric;
  std::uint8_t vector = 1;   // elements of a vector access
  std::uint8_t size = 0;     // bytes of an element
  bool strong = false;       // volatile, relaxed, acquire, release: no race among themselves
  std::uint32_t mode = 0;    // what the handler's family needs beyond its types
  std::int32_t member = -1;  // operand that holds the member mask of a warp instruction; -1: all lanes of the warp
  std::uint32_t target = 0;
  const Instruction* text = nullptr;
};

struct ParameterSlot {
  std::size_t offset = 0;
  std::size_t bytes = 0;
};

struct Dim {
  std::uint32_t x = 1, y = 1, z = 1;
  [[nodiscard]] std::uint64_t count() const { return std::uint64_t{x} * y * z; }
};

struct Program {
  std::string kernel;
  Dim cluster;
  std::vector<Op> ops;
  std::vector<std::unique_ptr<Operand[]>> operands;
  std::vector<std::vector<std::uint32_t>> branch_tables;
  std::size_t register_bytes = 0;  // of a warp
  std::size_t local_bytes = 0;     // of a lane
  std::size_t parameter_bytes = 0;
  std::vector<ParameterSlot> parameters;
  std::size_t static_shared_bytes = 0;
  std::vector<ParameterSlot> shared_variables;           // the gaps between them are out of bounds
  std::vector<std::pair<std::string, Operand>> special;  // %tid.x -> its register
  std::array<std::vector<std::uint64_t>, 4> pools;       // of constants, see frame.hpp
  const Module* module = nullptr;
  bool async_proxy = false;  // it has bulk copies or wgmma
};

struct AsyncCopy {
  const Op* op = nullptr;
  std::uint32_t lane = 0;
  std::uint32_t to = 0;  // shared address
  std::uint64_t from = 0;
  std::uint32_t bytes = 0;
  std::uint32_t source_bytes = 0;  // the rest is zero
  std::uint32_t group = 0;
};

/// Bytes that lie together on both sides of a bulk copy. `shared` counts from the copy's own shared address,
/// unswizzled.
struct BulkPart {
  std::uint64_t global = 0;  // 0: zeros, or NaN
  std::uint32_t shared = 0;
  std::uint32_t bytes = 0;
};

/// A bulk copy in flight, between global (or another block's shared) memory and the shared memory of `block`.
struct BulkCopy {
  const Op* op = nullptr;
  Warp* warp = nullptr;  // that issued it
  std::uint32_t lane = 0;
  Block* block = nullptr;
  std::uint32_t shared = 0;   // address
  std::uint32_t bytes = 0;    // of the whole copy
  std::uint32_t swizzle = 0;  // bytes; 0: none
  std::byte fill{};
  std::vector<BulkPart> parts{};
  std::uint32_t mbarrier = 0;  // of a load: in `block`
  std::uint32_t agent = 0;     // of a load
  std::uint32_t epoch = 0;
  std::uint32_t group = 0;  // of a store
};

/// One wgmma.mma_async of a warp, its 16 rows of the 64.
struct Product {
  const Op* op = nullptr;
  std::uint64_t a = 0, b = 0;  // descriptors
  bool adds = false;           // scale-d
};

/// Accumulators in flight: [register][lane].
struct Accumulators {
  std::vector<std::uint32_t> registers;  // offsets
  std::vector<float> values;
};

/// What a warp knows of its wgmmas.
struct Products {
  std::vector<Product> open;                    // not committed
  std::vector<std::vector<Product>> committed;  // groups, oldest first
  std::vector<std::uint32_t> epochs;            // of the groups
  std::vector<Accumulators> in_flight;
  std::vector<bool> locked;           // [register offset / 64]
  std::vector<std::uint64_t> fenced;  // the registers at the last wgmma.fence; empty: none yet
  std::uint64_t count = 0;            // issued

  [[nodiscard]] bool busy() const { return !in_flight.empty(); }
};

struct Group {
  enum class State : std::uint8_t { kReady, kMeeting, kBarrier, kPhase } state = State::kReady;
  std::uint32_t pc = 0;
  Mask lanes = 0;
};

struct Warp {
  std::array<std::array<std::byte*, 4>, 2> base{};  // [constant][log2 bytes]
  Block* block = nullptr;
  std::uint32_t index = 0;
  Mask exists = 0;
  Mask exited = 0;
  std::vector<Group> groups;
  std::vector<std::uint64_t> registers;
  std::vector<std::byte> local;  // [lane][local_bytes]
  std::vector<AsyncCopy> copies;
  std::array<std::uint32_t, kLanes> open_group{};  // number of the cp.async group that is being filled
  std::array<std::uint32_t, kLanes> carry{};       // CC.CF
  std::vector<BulkCopy> bulk_stores;
  std::array<std::uint32_t, kLanes> open_bulk_group{};
  std::array<std::uint64_t, kLanes> cluster_phase{};  // of the cluster's barrier at which the lane arrived last
  Products products;
  Mask resumed = 0;  // lanes that know the launch before to have ended
  const Op* last_exit = nullptr;
  bool turn_over = false;  // its turn ended while it could have gone on

  [[nodiscard]] std::uint32_t thread(std::uint32_t lane) const { return index * kLanes + lane; }
};

struct Barrier {
  std::uint32_t arrived = 0;   // threads
  std::uint32_t expected = 0;  // threads; 0: nobody came yet
  std::uint32_t count = 0;     // bar.red
  bool all = true;
  bool any = false;
  bool one_way = false;
  bool resumed = false;  // some of them know that the launch before has ended
  BarrierClock clock;
};

/// PTX ISA 9.7.13.15: a phase is over when no arrival and no byte is outstanding.
struct Mbarrier {
  std::uint32_t expected = 0;
  std::int64_t pending = 0;
  std::int64_t transactions = 0;
  std::uint64_t phase = 0;
  BarrierClock clock{};
  std::shared_ptr<const Clock> done{};  // of the last phase
  bool resumed = false, done_resumed = false;
};

struct Launch;

struct Block {
  Launch* launch = nullptr;
  Cluster* cluster = nullptr;
  std::uint32_t rank = 0;  // in the cluster
  Dim id;
  std::vector<std::unique_ptr<Warp>> warps;
  std::vector<std::byte> shared;
  std::vector<std::uint8_t> shadow;
  std::array<Barrier, 16> barriers;
  std::unordered_map<std::uint32_t, Mbarrier> mbarriers;  // by shared address
  bool slept = false;                                     // a thread executed nanosleep: it waits for something

  [[nodiscard]] Races* races() const;  // nullptr: not checked
  /// A thread or a shared address as the cluster's race check numbers them.
  [[nodiscard]] std::uint32_t race_thread(std::uint32_t thread) const {
    return rank * static_cast<std::uint32_t>(warps.size()) * kLanes + thread;
  }
  [[nodiscard]] std::uint32_t race_address(std::uint32_t address) const { return rank * race_stride() + address; }
  [[nodiscard]] std::uint32_t race_stride() const { return static_cast<std::uint32_t>((shared.size() + 15) / 16 * 16); }
  [[nodiscard]] bool exited() const;
};

/// barrier.cluster: all threads of the cluster that have not exited.
struct ClusterBarrier {
  std::uint32_t arrived = 0;
  std::uint64_t phase = 1;
  BarrierClock clock;
  std::shared_ptr<const Clock> done;
  bool resumed = false, done_resumed = false;
};

/// Blocks that run side by side and reach one another's shared memory; one block, when the kernel names no cluster.
struct Cluster {
  Launch* launch = nullptr;
  Dim id;
  std::vector<std::unique_ptr<Block>> blocks;
  std::unique_ptr<Races> races;
  ClusterBarrier barrier;
  std::vector<BulkCopy> loads;  // in flight
};

struct Launch {
  const Program* program = nullptr;
  Dim grid, block;
  Dim cluster{};
  std::vector<std::byte> parameters{};
  std::size_t dynamic_shared = 0;
  Options options;
  Counters* counters = nullptr;
  std::mt19937_64 random{};
  std::uint64_t steps = 0;
  bool records = false;     // what it touches, since a dependent launch may follow
  bool dependent = false;   // it may start before the launch before it has ended
  bool has_waited = false;  // a thread of it executed griddepcontrol.wait
};

// Agents of asynchronous work, see race.hpp: of each warp one for its wgmmas and one for its bulk stores, and some that
// bulk loads share by the mbarrier that they signal.
inline constexpr std::uint32_t kReadersOfWarp = 2;
inline constexpr std::uint32_t kWriters = 32;

/// Runs the grid to its end; throws KernelFault.
void run(Launch& launch);

/// Ends the launch: the text names kernel, block, thread, line and instruction. `lane` -1: the warp as a whole.
[[noreturn]] void fault(const Warp& warp, const Op& op, int lane, const std::string& what);
[[nodiscard]] std::string place(const Program& program, const Op& op);

inline Races* Block::races() const { return cluster->races.get(); }

}  // namespace ptx
