#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "descriptor.hpp"
#include "elements.hpp"
#include "isa.hpp"

// wgmma (PTX ISA 9.7.15). Each warp of the warpgroup computes its own 16 of the 64 rows. A product reads shared memory
// and multiplies as late as allowed, in the wait that its group needs; until then its accumulators hold NaN and any
// other use of their registers is a fault. Products are exact in fp32 and accumulated in fp32 in the order of k.
namespace ptx {
namespace {

using u32 = std::uint32_t;
using u64 = std::uint64_t;

constexpr u32 kRows = 16;        // of a warp
constexpr u32 kDepthBytes = 32;  // of one instruction along k
constexpr u32 kMostColumns = 256;

enum : u32 { kFp8 = 1, kARegisters = 2 };  // Op::mode

struct Shape {
  u32 columns = 0;
  u32 accumulators = 0;  // registers
  u32 a = 0, b = 0;      // operands
  bool a_transposed = false, b_transposed = false;
};

u32 immediate(Warp& warp, const Op& op, u32 arg) { return lanes<u32>(warp, op.arg[arg])[0]; }

// {d...}, a-descriptor or {a0..a3}, b-descriptor, scale-d, imm-scale-a, imm-scale-b{, trans-a}{, trans-b}
Shape shape_of(Warp& warp, const Op& op) {
  Shape shape{.columns = op.vector * 8U, .accumulators = op.vector * 4U};
  shape.a = shape.accumulators;
  const bool registers = (op.mode & kARegisters) != 0;
  shape.b = shape.a + (registers ? 4 : 1);
  const u32 transposes = shape.b + 4;
  if (op.args > transposes) {
    shape.b_transposed = immediate(warp, op, op.args - 1) != 0;
    shape.a_transposed = !registers && immediate(warp, op, transposes) != 0;
  }
  return shape;
}

u32 agent_of(Warp& warp, const Races& races) { return races.reader(race_thread(warp, 0) / kLanes * kReadersOfWarp); }

/// Calls visit(address) for every chunk that this warp reads of a matrix of `outer` rows from `first`.
template <class Visit>
void for_each_chunk(const MatrixDescriptor& d, bool transposed, u32 element, u32 first, u32 outer, Visit visit) {
  if (!transposed) {
    for (u32 row = first; row < first + outer; ++row) {
      for (u32 chunk = 0; chunk < kDepthBytes / kChunkBytes; ++chunk) {
        visit(k_major_chunk(d, row, chunk), row, chunk * kChunkBytes / element);
      }
    }
  } else {
    for (u32 k = 0; k < kDepthBytes / element; ++k) {
      for (u32 at = first; at < first + outer; at += kChunkBytes / element) {
        visit(mn_major_chunk(d, at / (kChunkBytes / element), k), at, k);
      }
    }
  }
}

void check_matrix(Warp& warp, const Op& op, u64 bits, bool transposed, u32 first, u32 outer) {
  const MatrixDescriptor d = matrix_descriptor(bits);
  if (d.base_offset != 0) fault(warp, op, -1, "a matrix descriptor with a base offset is not supported");
  Races* races = warp.block->races();
  for_each_chunk(d, transposed, (op.mode & kFp8) != 0 ? 1 : 2, first, outer, [&](u32 address, u32, u32) {
    check_shared(warp, op, 0, *warp.block, address, kChunkBytes, Touch::kLoad);
    if (races == nullptr) return;
    Races::Conflict earlier;
    if (races->async_read(race_thread(warp, 0), agent_of(warp, *races), warp.block->race_address(address), kChunkBytes,
                          earlier)) {
      race_fault(warp, op, 0, address, kChunkBytes, "wgmma read", earlier);
    }
  });
}

bool differs_from_fence(const Warp& warp, const Operand& operand) {
  const std::size_t at = operand.offset / sizeof(u64);
  return operand.constant == 0 &&
         !std::equal(&warp.registers[at], &warp.registers[at + kLanes / 2], &warp.products.fenced[at]);
}

void check_fenced(Warp& warp, const Op& op, const Shape& shape, bool adds, bool chained) {
  if (warp.products.fenced.empty()) fault(warp, op, -1, "the first wgmma of a warp: wgmma.fence is missing");
  const u32 first = adds && !chained ? 0 : shape.a;
  const u32 end = (op.mode & kARegisters) != 0 ? shape.b : shape.a;
  for (u32 i = first; i < end; ++i) {
    if (!differs_from_fence(warp, op.arg[i])) continue;
    fault(warp, op, -1, fmt::format("operand {} was written after the last wgmma.fence", i));
  }
}

/// The accumulators in flight that this instruction continues; nullptr: none.
Accumulators* find_in_flight(Warp& warp, const Op& op, const Shape& shape) {
  for (Accumulators& acc : warp.products.in_flight) {
    u32 shared = 0;
    for (u32 i = 0; i < shape.accumulators; ++i) {
      shared += std::count(acc.registers.begin(), acc.registers.end(), op.arg[i].offset) != 0 ? 1 : 0;
    }
    if (shared == 0) continue;
    const bool same =
        shared == shape.accumulators && acc.registers.size() == shared && acc.registers.front() == op.arg[0].offset;
    if (!same) fault(warp, op, -1, "race: overlaps the accumulators of a wgmma in flight of another shape");
    return &acc;
  }
  return nullptr;
}

void take_accumulators(Warp& warp, const Op& op, const Shape& shape) {
  Products& products = warp.products;
  products.locked.resize(warp.registers.size() / 8 + 1);
  Accumulators acc;
  acc.values.resize(std::size_t{shape.accumulators} * kLanes);
  for (u32 i = 0; i < shape.accumulators; ++i) {
    auto* values = lanes<float>(warp, op.arg[i]);
    acc.registers.push_back(op.arg[i].offset);
    std::copy_n(values, kLanes, &acc.values[std::size_t{i} * kLanes]);
    std::fill_n(values, kLanes, std::numeric_limits<float>::quiet_NaN());
    products.locked[op.arg[i].offset / 64] = true;
  }
  products.in_flight.push_back(std::move(acc));
}

void issue(Warp& warp, const Op& op, Mask) {
  const Shape shape = shape_of(warp, op);
  const Mask scale = predicate(warp, op.arg[shape.b + 1]);
  if (scale != 0 && scale != kAll) fault(warp, op, -1, "scale-d differs between the lanes of a warp");
  if (immediate(warp, op, shape.b + 2) != 1 || immediate(warp, op, shape.b + 3) != 1) {
    fault(warp, op, -1, "negated operands are not supported");
  }
  Product product{.op = &op, .adds = scale != 0};
  const bool registers = (op.mode & kARegisters) != 0;
  product.b = lanes<u64>(warp, op.arg[shape.b])[0];
  if (!registers) {
    product.a = lanes<u64>(warp, op.arg[shape.a])[0];
    check_matrix(warp, op, product.a, shape.a_transposed, warp.index % 4 * kRows, kRows);
  }
  check_matrix(warp, op, product.b, shape.b_transposed, 0, shape.columns);
  const bool chained = find_in_flight(warp, op, shape) != nullptr;
  check_fenced(warp, op, shape, product.adds, chained);
  if (!chained) take_accumulators(warp, op, shape);
  warp.products.open.push_back(product);
  ++warp.products.count;
}

/// [outer][k] or, `by_k`, [k][outer]
template <class Element>
void read_matrix(Warp& warp, const MatrixDescriptor& d, bool transposed, u32 first, u32 outer, bool by_k, float* out) {
  constexpr u32 kPer = kChunkBytes / (4 / Element::kPerRegister);
  constexpr u32 kElement = 4 / Element::kPerRegister;
  constexpr u32 kDepth = kDepthBytes / kElement;
  for_each_chunk(d, transposed, kElement, first, outer, [&](u32 address, u32 row, u32 k) {
    const std::byte* chunk = warp.block->shared.data() + address;
    for (u32 i = 0; i < kPer; ++i) {
      u32 bits = 0;
      std::memcpy(&bits, chunk + std::size_t{i} * kElement, kElement);
      const u32 r = row - first + (transposed ? i : 0);
      const u32 c = k + (transposed ? 0 : i);
      out[by_k ? c * outer + r : r * kDepth + c] = Element::value(bits);
    }
  });
}

// A fragment as mma.sync's: registers through the two halves of m first, then through k.
template <class Element>
void read_registers(Warp& warp, const Op& op, const Shape& shape, float* out) {
  constexpr u32 kPer = Element::kPerRegister;
  constexpr u32 kDepth = kDepthBytes * kPer / 4;
  for (u32 r = 0; r < 4; ++r) {
    const u32* bits = lanes<u32>(warp, op.arg[shape.a + r]);
    for (u32 lane = 0; lane < kLanes; ++lane) {
      for (u32 e = 0; e < kPer; ++e) {
        const u32 row = lane / 4 + 8 * (r % 2);
        out[row * kDepth + lane % 4 * kPer + e + 4 * kPer * (r / 2)] = Element::value(bits[lane] >> (32 / kPer * e));
      }
    }
  }
}

template <class Element>
void multiply(Warp& warp, const Product& product, Accumulators& acc) {
  constexpr u32 kDepth = kDepthBytes * Element::kPerRegister / 4;
  const Op& op = *product.op;
  const Shape shape = shape_of(warp, op);
  std::array<float, std::size_t{kRows} * kDepth> a;
  std::array<float, std::size_t{kMostColumns} * kDepth> b;
  std::array<float, kMostColumns> d;
  if ((op.mode & kARegisters) != 0) {
    read_registers<Element>(warp, op, shape, a.data());
  } else {
    read_matrix<Element>(warp, matrix_descriptor(product.a), shape.a_transposed, warp.index % 4 * kRows, kRows, false,
                         a.data());
  }
  read_matrix<Element>(warp, matrix_descriptor(product.b), shape.b_transposed, 0, shape.columns, true, b.data());
  for (u32 row = 0; row < kRows; ++row) {
    // Where column c of the row lies, as CuTe's CLayout_64xN says.
    auto value = [&](u32 c) -> float& {
      const u32 lane = row % 8 * 4 + c % 8 / 2;
      return acc.values[std::size_t{c / 8 * 4 + row / 8 * 2 + c % 2} * kLanes + lane];
    };
    for (u32 c = 0; c < shape.columns; ++c) d[c] = product.adds ? value(c) : 0;
    for (u32 k = 0; k < kDepth; ++k) {
      const float factor = a[row * kDepth + k];
      const float* from = &b[std::size_t{k} * shape.columns];
      for (u32 c = 0; c < shape.columns; ++c) d[c] += factor * from[c];
    }
    for (u32 c = 0; c < shape.columns; ++c) value(c) = d[c];
  }
}

bool is_used(const std::vector<Product>& products, const Accumulators& acc) {
  return std::any_of(products.begin(), products.end(),
                     [&](const Product& p) { return p.op->arg[0].offset == acc.registers.front(); });
}

/// Accumulators that no product in flight uses go back to their registers.
void give_back(Warp& warp) {
  Products& products = warp.products;
  auto done = [&](const Accumulators& acc) {
    if (is_used(products.open, acc)) return false;
    return std::none_of(products.committed.begin(), products.committed.end(),
                        [&](const auto& group) { return is_used(group, acc); });
  };
  for (const Accumulators& acc : products.in_flight) {
    if (!done(acc)) continue;
    for (std::size_t i = 0; i < acc.registers.size(); ++i) {
      const Operand at{.offset = acc.registers[i]};
      std::copy_n(&acc.values[i * kLanes], kLanes, lanes<float>(warp, at));
      // The product wrote it, so the next one needs no fence for it.
      std::copy_n(&warp.registers[at.offset / sizeof(u64)], kLanes / 2, &products.fenced[at.offset / sizeof(u64)]);
      products.locked[at.offset / 64] = false;
    }
  }
  std::erase_if(products.in_flight, done);
}

void fence(Warp& warp, const Op&, Mask) { warp.products.fenced = warp.registers; }

void commit(Warp& warp, const Op&, Mask) {
  Products& products = warp.products;
  products.committed.push_back(std::move(products.open));
  products.open.clear();
  u32 epoch = 0;
  if (Races* races = warp.block->races()) {
    epoch = races->epoch(agent_of(warp, *races));
    races->advance(agent_of(warp, *races));
  }
  products.epochs.push_back(epoch);
}

void wait_group(Warp& warp, const Op& op, Mask) {
  Products& products = warp.products;
  const std::size_t keep = immediate(warp, op, 0);
  if (products.committed.size() <= keep) return;
  const std::size_t count = products.committed.size() - keep;
  for (std::size_t i = 0; i < count; ++i) {
    for (const Product& product : products.committed[i]) {
      Accumulators& acc = *std::find_if(products.in_flight.begin(), products.in_flight.end(), [&](const auto& a) {
        return a.registers.front() == product.op->arg[0].offset;
      });
      if ((product.op->mode & kFp8) != 0) {
        multiply<Fp8Element<3>>(warp, product, acc);
      } else {
        multiply<Bf16Element>(warp, product, acc);
      }
    }
  }
  const u32 epoch = products.epochs[count - 1];
  const auto end = static_cast<std::ptrdiff_t>(count);
  products.committed.erase(products.committed.begin(), products.committed.begin() + end);
  products.epochs.erase(products.epochs.begin(), products.epochs.begin() + end);
  give_back(warp);
  if (Races* races = warp.block->races()) {
    for (int lane = 0; lane < kLanes; ++lane) races->learn(race_thread(warp, lane), agent_of(warp, *races), epoch);
  }
}

// wgmma.mma_async.sync.aligned.m64nNk16.f32.bf16.bf16 and .m64nNk32.f32.e4m3.e4m3
bool decode_mma(Mods& mods, const Instruction& text, Op& op) {
  const bool fp8 = mods.take("e4m3") && mods.take("e4m3");
  if (!fp8 && (!mods.take("bf16") || !mods.take("bf16"))) return false;
  if (!mods.take("f32")) return false;
  const std::string_view size = mods.take_last();
  const std::string_view depth = fp8 ? "k32" : "k16";
  if (!size.starts_with("m64n") || !size.ends_with(depth)) return false;
  const int columns = std::stoi(std::string(size.substr(4)));
  if (columns < 8 || columns > 256 || columns % 8 != 0) return false;
  op.vector = static_cast<std::uint8_t>(columns / 8);
  op.mode = fp8 ? u32{kFp8} : 0U;
  if (text.args.size() > 1 && text.args[1].kind == Arg::Kind::kVector) op.mode |= kARegisters;
  op.run = issue;
  return true;
}

bool decode_wgmma(Mods& mods, const Instruction& text, Op& op) {
  op.kind = Class::kMatrix;
  op.flow = Flow::kWarpSync;
  if (!mods.take("sync") || !mods.take("aligned")) return false;
  if (mods.take("mma_async")) return decode_mma(mods, text, op);
  const std::string_view what = mods.take_any({"fence", "commit_group", "wait_group"});
  op.run = what == "fence" ? fence : (what == "commit_group" ? commit : wait_group);
  return !what.empty();
}

}  // namespace

void check_locked(Warp& warp, const Op& op) {
  if (op.run == issue) {
    const Shape shape = shape_of(warp, op);
    for (u32 i = shape.a; i < shape.b; ++i) {
      if (op.arg[i].constant == 0 && warp.products.locked[op.arg[i].offset / 64]) {
        fault(warp, op, -1, "race: reads an accumulator of a wgmma in flight: a wait is missing");
      }
    }
    return;
  }
  for (u32 i = 0; i < op.args; ++i) {
    if (op.arg[i].constant != 0 || op.arg[i].sink || !warp.products.locked[op.arg[i].offset / 64]) continue;
    fault(warp, op, -1, "race: touches an accumulator of a wgmma in flight: a wait is missing");
  }
}

void check_products_done(const Warp& warp) {
  const Products& products = warp.products;
  if (!products.open.empty()) {
    fault(warp, *products.open.front().op, -1, "the kernel ends before this wgmma was committed");
  }
  if (!products.committed.empty() && !products.committed.front().empty()) {
    fault(warp, *products.committed.front().front().op, -1, "the kernel ends before this wgmma was waited for");
  }
}

void add_wgmma(Table& table) { table.add({Family{"wgmma", decode_wgmma}}); }

}  // namespace ptx
