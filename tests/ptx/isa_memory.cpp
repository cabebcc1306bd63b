#include "isa.hpp"

// ld, st, prefetch, fences (PTX ISA 9.7.9).
namespace ptx {
namespace {

template <class Element>
void load(Warp& warp, const Op& op, Mask mask) {
  Pointers pointers;
  const std::uint32_t count = op.vector;
  touch(warp, op, mask, count, op.displacement[0], op.space, static_cast<std::uint32_t>(sizeof(Element)) * count,
        Touch::kLoad, pointers);
  for (std::uint32_t i = 0; i < count; ++i) {
    each(mask, [&](int lane) {
      Element value;
      std::memcpy(&value, pointers.at[static_cast<std::size_t>(lane)] + i * sizeof(Element), sizeof(Element));
      extend<Element>(warp, op.arg[i], lane, value);
    });
  }
}

template <class Element>
void store(Warp& warp, const Op& op, Mask mask) {
  Pointers pointers;
  const std::uint32_t count = op.vector;
  touch(warp, op, mask, 0, op.displacement[0], op.space, static_cast<std::uint32_t>(sizeof(Element)) * count,
        Touch::kStore, pointers);
  each_in_order(warp, mask, [&](int lane) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto value = low<Element>(warp, op.arg[1 + i], lane);
      std::memcpy(pointers.at[static_cast<std::size_t>(lane)] + i * sizeof(Element), &value, sizeof(Element));
    }
  });
}

bool decode_space(Mods& mods, Op& op) {
  const std::string_view space =
      mods.take_any({"global", "shared", "shared::cta", "shared::cluster", "local", "const", "param", "param::entry"});
  if (space == "global" || space == "const") op.space = Space::kGlobal;
  if (space.starts_with("shared")) op.space = Space::kShared;
  if (space == "local") op.space = Space::kLocal;
  // A parameter of an inlined function lies in local memory: the loader has chosen.
  if (space.starts_with("param") && op.space != Space::kLocal) op.space = Space::kParameter;
  op.kind = op.space == Space::kShared                          ? Class::kShared
            : op.space == Space::kLocal                         ? Class::kLocal
            : op.space == Space::kParameter || space == "const" ? Class::kParameter
                                                                : Class::kGlobal;
  return true;
}

// Caching hints change speed only; strength and scope matter to the race check.
void decode_hints(Mods& mods, Op& op) {
  if (!mods.take_any({"volatile", "relaxed", "acquire", "release"}).empty()) op.strong = true;
  mods.take("weak");
  mods.take_any({"cta", "cluster", "gpu", "sys"});
  mods.take_any({"ca", "cg", "cs", "lu", "cv", "nc", "wb", "wt"});
  mods.take("nc");
  mods.take_prefixed("L1::");
  mods.take_prefixed("L2::");
}

bool decode_element(Mods& mods, Op& op) {
  const std::string_view type = mods.take_last();
  op.size = static_cast<std::uint8_t>(type_bytes(type));
  const std::string_view vector = mods.take_any({"v2", "v4"});
  op.vector = static_cast<std::uint8_t>(vector.empty() ? 1 : vector[1] - '0');
  op.mode = type[0] == 's' ? 1 : 0;
  return true;
}

bool decode_ld(Mods& mods, const Instruction&, Op& op) {
  decode_element(mods, op);
  decode_space(mods, op);
  decode_hints(mods, op);
  switch (op.size) {
    case 1:
      op.run = op.mode == 1 ? load<std::int8_t> : load<std::uint8_t>;
      break;
    case 2:
      op.run = op.mode == 1 ? load<std::int16_t> : load<std::uint16_t>;
      break;
    case 4:
      op.run = op.mode == 1 ? load<std::int32_t> : load<std::uint32_t>;
      break;
    case 8:
      op.run = load<std::uint64_t>;
      break;
    default:
      return false;
  }
  return true;
}

bool decode_st(Mods& mods, const Instruction&, Op& op) {
  decode_element(mods, op);
  decode_space(mods, op);
  decode_hints(mods, op);
  switch (op.size) {
    case 1:
      op.run = store<std::uint8_t>;
      break;
    case 2:
      op.run = store<std::uint16_t>;
      break;
    case 4:
      op.run = store<std::uint32_t>;
      break;
    case 8:
      op.run = store<std::uint64_t>;
      break;
    default:
      return false;
  }
  return true;
}

void nothing(Warp&, const Op&, Mask) {}

bool decode_hint_only(Mods& mods, const Instruction&, Op& op) {
  decode_space(mods, op);
  mods.take_any({"L1", "L2"});
  mods.take_prefixed("L2::");
  op.run = nothing;
  return true;
}

bool decode_fence(Mods& mods, const Instruction&, Op& op) {
  mods.take_any({"sc", "acq_rel"});
  mods.take_any({"cta", "gl", "gpu", "sys", "cluster"});
  op.kind = Class::kControl;
  op.run = nothing;  // a warp steps through its stores in order, and nothing is cached
  return true;
}

}  // namespace

void add_memory(Table& table) {
  table.add({Family{"ld", decode_ld}, Family{"ldu", decode_ld}, Family{"st", decode_st},
             Family{"prefetch", decode_hint_only}, Family{"prefetchu", decode_hint_only},
             Family{"discard", decode_hint_only}, Family{"membar", decode_fence}, Family{"fence", decode_fence}});
}

}  // namespace ptx
