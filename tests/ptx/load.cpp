#include "load.hpp"

#include <fmt/format.h>

#include <bit>
#include <optional>

#include "error.hpp"
#include "frame.hpp"
#include "isa.hpp"

namespace ptx {
namespace {

constexpr std::size_t kSharedGap = 128;  // out of bounds between two shared variables, so that an overrun is seen
constexpr int kDeepest = 32;             // of inlined calls; deeper is taken for recursion

class Loader {
 public:
  Loader(const Module& module, const SymbolAddress& address) : module_(module), address_(address) {}

  std::unique_ptr<Program> load(const std::string& name) {
    const auto found = module_.functions.find(name);
    if (found == module_.functions.end()) throw PtxError(fmt::format("PTX: no kernel named {}", name));
    program_->kernel = name;
    program_->module = &module_;
    if (const auto& size = found->second.cluster; size[0] != 0) program_->cluster = {size[0], size[1], size[2]};
    Frame frame{.function = &found->second};
    place_parameters(frame);
    place_module_shared();
    inline_function(frame);
    for (Variable const* open : open_shared_) shared_[open->name].value = align_up(shared_end_, 128);
    if (!open_shared_.empty()) shared_end_ = align_up(shared_end_, 128);
    program_->static_shared_bytes = shared_end_;
    constants_.move(kOpenShared, kOpenShared / 2, shared_end_);  // dynamic shared memory lies behind the static
    program_->pools = constants_.pools();
    return std::move(program_);
  }

 private:
  [[noreturn]] void fail(const Instruction& text, const std::string& what) const {
    const auto file = module_.files.find(text.file);
    throw PtxError(fmt::format("kernel {}: PTX line {}{}: '{}': {}", program_->kernel, text.ptx_line,
                               file == module_.files.end() ? "" : fmt::format(" ({}:{})", file->second, text.line),
                               text.opcode, what));
  }

  // ---- variables
  void place_parameters(Frame& frame) {
    std::size_t end = 0;
    for (const Variable& parameter : frame.function->params) {
      end = align_up(end, parameter.align);
      program_->parameters.push_back({end, parameter.bytes});
      frame.symbols[parameter.name] = {Space::kParameter, end, parameter.bytes};
      end += parameter.bytes;
    }
    program_->parameter_bytes = end;
  }

  void place_module_shared() {
    for (const Variable& variable : module_.variables) {
      if (variable.space == "shared") place_shared(variable);
    }
  }

  Symbol place_shared(const Variable& variable) {
    if (const auto found = shared_.find(variable.name); found != shared_.end()) return found->second;
    Symbol symbol{Space::kShared, 0, variable.bytes};
    if (variable.open_array) {
      // Known only when all others are placed: a mark that load() replaces.
      symbol.value = kOpenShared;
      open_shared_.push_back(&variable);
    } else {
      symbol.value = align_up(shared_end_ == 0 ? 0 : shared_end_ + kSharedGap, variable.align);
      program_->shared_variables.push_back({symbol.value, variable.bytes});
      shared_end_ = symbol.value + variable.bytes;
    }
    shared_[variable.name] = symbol;
    return symbol;
  }

  std::uint64_t place_local(std::size_t bytes, std::size_t align) {
    const std::size_t at = align_up(program_->local_bytes, std::max<std::size_t>(align, 4));
    program_->local_bytes = at + bytes;
    return at;
  }

  Operand place_register(std::size_t bytes, std::size_t count) {
    Operand operand{.offset = static_cast<std::uint32_t>(program_->register_bytes),
                    .bytes = static_cast<std::uint8_t>(bytes)};
    program_->register_bytes += align_up(register_stride(bytes) * count, 64);
    return operand;
  }

  void place_variables(Frame& frame) {
    for (const Variable& variable : frame.function->variables) {
      if (variable.space == "reg") {
        const std::size_t bytes = std::max<std::size_t>(variable.bytes, variable.type == "pred" ? 0 : 2);
        const auto count = static_cast<std::size_t>(std::max(variable.range, 1));
        frame.registers[variable.name] = place_register(bytes, count);
        if (variable.range >= 0) frame.families[variable.name] = variable.range;
      } else if (variable.space == "shared") {
        frame.symbols[variable.name] = place_shared(variable);
      } else {
        frame.symbols[variable.name] = {Space::kLocal, place_local(variable.bytes, variable.align), variable.bytes};
      }
    }
  }

  // ---- operands
  const Symbol* find_symbol(const Frame& frame, const std::string& name) {
    if (const auto found = frame.symbols.find(name); found != frame.symbols.end()) return &found->second;
    if (const auto found = shared_.find(name); found != shared_.end()) return &found->second;
    for (const Variable& variable : module_.variables) {
      if (variable.name != name) continue;
      return &(globals_[name] = {Space::kGlobal, address_(name), variable.bytes});
    }
    return nullptr;
  }

  Operand find_register(const Frame& frame, const Instruction& text, const std::string& name) {
    const std::optional<Operand> declared = declared_register(frame, name);
    return declared ? *declared : special(text, name);
  }

  Operand special(const Instruction& text, const std::string& name) {
    for (const auto& [known, operand] : program_->special) {
      if (known == name) return operand;
    }
    const std::size_t bytes = special_bytes(name);
    if (bytes == 0) fail(text, fmt::format("unknown register {}", name));
    const Operand operand = place_register(bytes, 1);
    program_->special.emplace_back(name, operand);
    return operand;
  }

  Operand symbol_operand(const Frame& frame, const Instruction& text, const Arg& arg) {
    if (arg.name == "WARP_SZ") return constants_.operand(kLanes);
    if (const auto declared = declared_register(frame, arg.name)) return *declared;  // r0 of inline assembly
    const Symbol* symbol = find_symbol(frame, arg.name);
    if (symbol == nullptr) fail(text, fmt::format("unknown name {}", arg.name));
    return constants_.operand(symbol->value + static_cast<std::uint64_t>(arg.displacement));
  }

  void flatten(const Frame& frame, const Instruction& text, const Arg& arg, Op& op, std::vector<Operand>& out,
               std::size_t& addresses) {
    switch (arg.kind) {
      case Arg::Kind::kRegister:
        out.push_back(find_register(frame, text, arg.name));
        break;
      case Arg::Kind::kNumber:
        out.push_back(constants_.operand(arg.number, arg.is_double));
        break;
      case Arg::Kind::kSymbol:
        out.push_back(symbol_operand(frame, text, arg));
        break;
      case Arg::Kind::kSink:
        out.push_back({.sink = true});
        break;
      case Arg::Kind::kAddress: {
        if (const auto declared = declared_register(frame, arg.name)) {
          out.push_back(*declared);
        } else if (arg.name.empty()) {
          out.push_back(constants_.operand(0));
        } else {
          const Symbol* symbol = find_symbol(frame, arg.name);
          if (symbol == nullptr) fail(text, fmt::format("unknown name {}", arg.name));
          out.push_back(constants_.operand(symbol->value));
          if (symbol->space == Space::kLocal) op.space = Space::kLocal;
        }
        if (frame.depth > 0 && text.opcode.find(".param") != std::string::npos) op.space = Space::kLocal;
        op.displacement.at(addresses++) = arg.displacement;
        for (const Arg& part : arg.parts) flatten(frame, text, part, op, out, addresses);
        break;
      }
      case Arg::Kind::kVector:
      case Arg::Kind::kList:
        for (const Arg& part : arg.parts) flatten(frame, text, part, op, out, addresses);
        break;
    }
    if (arg.negated) out.back().negated = true;
  }

  // ---- instructions
  Op& emit(Frame& frame, const Instruction& text) {
    Op op{.text = &text};
    std::vector<Operand> operands;
    std::size_t addresses = 0;
    const bool branches =
        text.opcode.starts_with("bra") || text.opcode.starts_with("brx") || text.opcode.starts_with("call");
    for (const Arg& arg : text.args) {
      if (branches && arg.kind != Arg::Kind::kRegister) continue;  // a label
      flatten(frame, text, arg, op, operands, addresses);
    }
    attach(op, operands);
    if (!text.guard.empty()) {
      op.guard = find_register(frame, text, text.guard);
      op.guard.negated = text.guard_negated;
      op.guarded = true;
    }
    try {
      if (!text.opcode.starts_with("call")) table().decode(text, op);
    } catch (const PtxError& error) {
      fail(text, error.what());
    }
    if (text.opcode.starts_with("wgmma") || text.opcode.starts_with("cp.async.bulk")) program_->async_proxy = true;
    program_->ops.push_back(op);
    return program_->ops.back();
  }

  void attach(Op& op, const std::vector<Operand>& operands) {
    auto stored = std::make_unique<Operand[]>(operands.size());
    std::copy(operands.begin(), operands.end(), stored.get());
    op.arg = stored.get();
    op.args = static_cast<std::uint32_t>(operands.size());
    program_->operands.push_back(std::move(stored));
  }

  [[nodiscard]] std::uint32_t next_op() const { return static_cast<std::uint32_t>(program_->ops.size()); }

  void inline_function(Frame& frame) {
    place_variables(frame);
    const Function& function = *frame.function;
    for (const Instruction& text : function.code) {
      frame.op_of.push_back(next_op());
      if (text.opcode.starts_with("call")) {
        call(frame, text);
        continue;
      }
      // The address of a kernel parameter is known only at the launch.
      if (text.opcode.starts_with("mov") && text.args[1].kind == Arg::Kind::kSymbol) {
        const Symbol* symbol = find_symbol(frame, text.args[1].name);
        if (symbol != nullptr && symbol->space == Space::kParameter) {
          parameter_address(frame, text, *symbol);
          continue;
        }
      }
      Op& op = emit(frame, text);
      if (op.flow == Flow::kBranch) frame.jumps.push_back({next_op() - 1, text.args[0].name, text.scope});
      if (op.flow == Flow::kIndexedBranch) indexed_branch(frame, text);
      if (op.flow == Flow::kExit && frame.depth > 0 && text.opcode.starts_with("ret")) {
        op.flow = Flow::kBranch;
        frame.jumps.push_back({next_op() - 1, "", 0});
      }
    }
    frame.op_of.push_back(next_op());
    if (frame.depth == 0) {  // a kernel whose text ends without ret
      static const Instruction kEnd{.opcode = "exit"};
      emit(frame, kEnd);
    }
    for (const Frame::Jump& jump : frame.jumps) {
      const std::uint32_t target = frame.op_of[jump.label.empty() ? function.code.size() : find_label(frame, jump)];
      if (jump.table < 0) {
        program_->ops[jump.op].target = target;
      } else {
        program_->branch_tables[static_cast<std::size_t>(jump.table)].push_back(target);
      }
    }
  }

  std::size_t find_label(const Frame& frame, const Frame::Jump& jump) const {
    for (int scope = jump.scope; scope >= 0; scope = frame.function->scope_parent[static_cast<std::size_t>(scope)]) {
      const auto found = frame.function->labels.find(fmt::format("{}@{}", jump.label, scope));
      if (found != frame.function->labels.end()) return found->second;
    }
    fail(*program_->ops[jump.op].text, fmt::format("unknown label {}", jump.label));
  }

  void indexed_branch(Frame& frame, const Instruction& text) {
    const auto table_number = static_cast<int>(program_->branch_tables.size());
    program_->branch_tables.emplace_back();
    program_->ops.back().target = static_cast<std::uint32_t>(table_number);
    const auto& targets = frame.function->targets;
    const auto found = targets.find(fmt::format("{}@{}", text.args[1].name, text.scope));
    if (found == targets.end()) fail(text, "unknown .branchtargets");
    for (const std::string& label : found->second) {
      frame.jumps.push_back({next_op() - 1, label, text.scope, table_number});
    }
  }

  void parameter_address(Frame& frame, const Instruction& text, const Symbol& symbol) {
    Op op{.text = &text};
    attach(op, {find_register(frame, text, text.args[0].name), special(text, "%ptx_parameters"),
                constants_.operand(symbol.value + static_cast<std::uint64_t>(text.args[1].displacement))});
    table().decode(Instruction{.opcode = "add.u64"}, op);
    program_->ops.push_back(op);
  }

  // call[.uni] [(result),] function[, (arguments)]: the body takes the place of the call, its parameters are the
  // variables that the caller filled.
  void call(Frame& frame, const Instruction& text) {
    std::vector<const Arg*> lists;
    std::string name;
    bool before = true;
    const Arg* results = nullptr;
    const Arg* arguments = nullptr;
    for (const Arg& arg : text.args) {
      if (arg.kind == Arg::Kind::kList) {
        (before ? results : arguments) = &arg;
      } else if (name.empty()) {
        name = arg.name;
        before = false;
      }
    }
    if (frame.depth >= kDeepest) fail(text, "calls too deep: recursion is not supported");
    if (const Handler native = native_function(name)) {
      Op op{.run = native, .kind = Class::kControl, .text = &text};
      std::vector<Operand> operands;
      for (const Arg* list : {arguments, results}) {
        if (list == nullptr) continue;
        for (const Arg& arg : list->parts) operands.push_back(constants_.operand(frame.symbols.at(arg.name).value));
      }
      attach(op, operands);
      guard(frame, text, op);
      program_->ops.push_back(op);
      return;
    }
    const auto found = module_.functions.find(name);
    if (found == module_.functions.end())
      fail(text, fmt::format("call of {}, which has no body here (or through a pointer)", name));
    // A guarded call: jump over the body unless the guard holds.
    std::size_t skip = 0;
    if (!text.guard.empty()) {
      Op& jump = emit(frame, text);
      jump.guard.negated = !jump.guard.negated;
      jump.flow = Flow::kBranch;
      jump.kind = Class::kControl;
      skip = program_->ops.size();
    }
    Frame inner{.function = &found->second, .depth = frame.depth + 1};
    bind(frame, text, inner, inner.function->results, results);
    bind(frame, text, inner, inner.function->params, arguments);
    inline_function(inner);
    if (skip != 0) program_->ops[skip - 1].target = next_op();
  }

  void guard(Frame& frame, const Instruction& text, Op& op) {
    if (text.guard.empty()) return;
    op.guard = find_register(frame, text, text.guard);
    op.guard.negated = text.guard_negated;
    op.guarded = true;
  }

  void bind(const Frame& frame, const Instruction& text, Frame& inner, const std::vector<Variable>& formal,
            const Arg* actual) {
    const std::size_t count = actual == nullptr ? 0 : actual->parts.size();
    if (count != formal.size()) fail(text, "the call's arguments do not fit the function");
    for (std::size_t i = 0; i < count; ++i) {
      const auto found = frame.symbols.find(actual->parts[i].name);
      if (found == frame.symbols.end()) fail(text, "a call argument that is not a .param variable");
      inner.symbols[formal[i].name] = found->second;
    }
  }

  static constexpr std::uint64_t kOpenShared = std::uint64_t{0x5eed}
                                               << 40;  // no address that a kernel has; see place_shared()

  const Module& module_;
  const SymbolAddress& address_;
  std::unique_ptr<Program> program_ = std::make_unique<Program>();
  std::unordered_map<std::string, Symbol> shared_;
  std::unordered_map<std::string, Symbol> globals_;
  std::vector<const Variable*> open_shared_;
  std::size_t shared_end_ = 0;
  Constants constants_;
};

}  // namespace

std::unique_ptr<Program> load(const Module& module, const std::string& kernel, const SymbolAddress& address) {
  return Loader(module, address).load(kernel);
}

}  // namespace ptx
