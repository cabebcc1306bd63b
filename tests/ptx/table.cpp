#include <fmt/format.h>

#include <algorithm>

#include "error.hpp"
#include "isa.hpp"

namespace ptx {
namespace {

// "a[.b].{c,d}" -> a.c a.d a.b.c a.b.d
void expand(const std::string& done, std::string_view rest, std::vector<std::string>& out) {
  const std::size_t open = rest.find_first_of("[{");
  if (open == std::string_view::npos) {
    out.push_back(done + std::string(rest));
    return;
  }
  const bool optional = rest[open] == '[';
  const std::size_t close = rest.find(optional ? ']' : '}', open);
  const std::string before = done + std::string(rest.substr(0, open));
  const std::string_view after = rest.substr(close + 1);
  if (optional) expand(before, after, out);
  std::string_view choices = rest.substr(open + 1, close - open - 1);
  while (true) {
    const std::size_t comma = choices.find(',');
    expand(before + std::string(choices.substr(0, comma)), after, out);
    if (comma == std::string_view::npos) return;
    choices = choices.substr(comma + 1);
  }
}

}  // namespace

Mods::Mods(std::string_view opcode) {
  std::size_t dot = opcode.find('.');
  while (dot != std::string_view::npos) {
    const std::size_t next = opcode.find('.', dot + 1);
    names_.push_back(opcode.substr(dot + 1, next == std::string_view::npos ? next : next - dot - 1));
    dot = next;
  }
}

bool Mods::take(std::string_view name) {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) return false;
  names_.erase(found);
  return true;
}

std::string_view Mods::take_any(std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (take(name)) return name;
  }
  return {};
}

std::string_view Mods::take_last() {
  if (names_.empty()) return {};
  const std::string_view last = names_.back();
  names_.pop_back();
  return last;
}

void Mods::take_prefixed(std::string_view prefix) {
  std::erase_if(names_, [&](std::string_view name) { return name.starts_with(prefix); });
}

void Table::add(std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    std::vector<std::string> names;
    expand("", row.pattern, names);
    for (std::string& name : names) rows_.emplace(std::move(name), row);
  }
}

void Table::add(std::initializer_list<Family> families) {
  for (const Family& family : families) families_.emplace(family.name, family.decode);
}

void Table::decode(const Instruction& instruction, Op& op) const {
  if (const auto found = rows_.find(instruction.opcode); found != rows_.end()) {
    const Row& row = found->second;
    op.run = row.run;
    op.kind = row.kind;
    op.flow = row.flow;
    op.member = row.member == kLastOperand ? static_cast<std::int32_t>(op.args) - 1 : row.member;
    op.mode = row.mode;
    return;
  }
  const std::string_view opcode = instruction.opcode;
  const auto family = families_.find(opcode.substr(0, opcode.find('.')));
  if (family != families_.end()) {
    Mods mods(opcode);
    if (family->second(mods, instruction, op) && mods.empty()) return;
  }
  throw PtxError("unknown instruction");
}

const Table& table() {
  static const Table instance = [] {
    Table table;
    add_integer(table);
    add_bits(table);
    add_float(table);
    add_half(table);
    add_convert(table);
    add_compare(table);
    add_memory(table);
    add_atomic(table);
    add_async(table);
    add_warp(table);
    add_matrix(table);
    add_control(table);
    add_mbarrier(table);
    add_bulk(table);
    add_wgmma(table);
    add_cluster(table);
    return table;
  }();
  return instance;
}

}  // namespace ptx
