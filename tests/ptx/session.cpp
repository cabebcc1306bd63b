#include "session.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "error.hpp"
#include "load.hpp"

namespace ptx {

void LoadedModule::parse_once() {
  if (module_ != nullptr) return;
  module_ = parse(text_);
  for (const Variable& variable : module_->variables) {
    if (variable.space != "global" && variable.space != "const") continue;
    if (variable.bytes == 0) continue;  // extern
    auto* base = static_cast<std::byte*>(memory().allocate(variable.bytes, variable.name));
    // Variables without an initialiser start as zero (PTX ISA 5.4.4).
    std::memset(base, 0, variable.bytes);
    if (!variable.initial.empty()) std::memcpy(base, variable.initial.data(), variable.initial.size());
    memory().mark(base, variable.bytes, kWritten);
    addresses_[variable.name] = reinterpret_cast<std::uint64_t>(base);
  }
  for (const Variable& variable : module_->variables) {
    for (const auto& [offset, symbol] : variable.pointers) {
      const std::uint64_t value = address(symbol);
      std::memcpy(host_pointer(addresses_.at(variable.name)) + offset, &value, sizeof(value));
    }
  }
}

std::uint64_t LoadedModule::address(const std::string& variable) {
  parse_once();
  const auto found = addresses_.find(variable);
  if (found == addresses_.end()) throw PtxError(fmt::format("PTX: no variable named {}", variable));
  return found->second;
}

const Program& LoadedModule::program(const std::string& kernel) {
  parse_once();
  std::unique_ptr<Program>& program = programs_[kernel];
  if (program == nullptr) program = load(*module_, kernel, [this](const std::string& name) { return address(name); });
  return *program;
}

Session& session() {
  static Session instance;
  return instance;
}

void launch(const Program& program, const LaunchShape& shape, void* const* arguments) {
  Session& state = session();
  Launch launch{.program = &program,
                .grid = shape.grid,
                .block = shape.block,
                .cluster = shape.cluster.value_or(program.cluster),
                .dynamic_shared = shape.dynamic_shared,
                .options = state.options,
                .counters = &state.counters,
                .records = std::ranges::any_of(state.modules, [](const auto& m) { return m->has_dependents(); }),
                .dependent = shape.dependent};
  launch.parameters.resize(program.parameter_bytes);
  for (std::size_t i = 0; i < program.parameters.size(); ++i) {
    const ParameterSlot& slot = program.parameters[i];
    std::memcpy(launch.parameters.data() + slot.offset, arguments[i], slot.bytes);
  }
  ++state.counters.launches;
  if (!launch.records) return run(launch);
  if (!launch.dependent) memory().complete_launches();
  run(launch);
  memory().end_launch(!launch.dependent || launch.has_waited);
}

std::string ptx_of(const void* fat_binary) {
  struct Wrapper {
    std::uint32_t magic, version;
    const std::byte* data;
  };
  struct Header {
    std::uint32_t magic;
    std::uint16_t version, header_bytes;
    std::uint64_t bytes;
  };
  struct Entry {
    std::uint16_t kind, version;
    std::uint32_t header_bytes;
    std::uint64_t bytes;
  };
  constexpr std::uint16_t kPtx = 1;
  const std::byte* data = static_cast<const Wrapper*>(fat_binary)->data;
  Header header{};
  std::memcpy(&header, data, sizeof(header));
  const std::byte* at = data + header.header_bytes;
  const std::byte* end = at + header.bytes;
  while (at < end) {
    Entry entry{};
    std::memcpy(&entry, at, sizeof(entry));
    const auto* text = reinterpret_cast<const char*>(at + entry.header_bytes);
    at += entry.header_bytes + entry.bytes;
    if (entry.kind != kPtx) continue;
    std::string ptx(text, entry.bytes);
    if (ptx.find(".version") == std::string::npos) throw PtxError("PTX: compressed; build with --compress-mode=none");
    return ptx.substr(0, ptx.find_last_not_of('\0') + 1);
  }
  throw PtxError("PTX: the program holds none; build with -gencode arch=compute_80,code=compute_80");
}

}  // namespace ptx
