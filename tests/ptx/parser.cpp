#include <fmt/format.h>

#include <cstring>
#include <map>
#include <optional>

#include "error.hpp"
#include "lexer.hpp"
#include "module.hpp"

namespace ptx {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : tokens_(tokens(text)) {}

  std::unique_ptr<Module> module() {
    while (!done()) top_level();
    return std::move(module_);
  }

 private:
  [[nodiscard]] bool done() const { return at_ >= tokens_.size(); }
  [[nodiscard]] std::string_view peek(std::size_t ahead = 0) const {
    return at_ + ahead < tokens_.size() ? tokens_[at_ + ahead].text : std::string_view{};
  }
  std::string_view next() {
    if (done()) throw PtxError("PTX: the text ends in the middle of a statement");
    return tokens_[at_++].text;
  }
  bool accept(std::string_view text) {
    if (peek() != text) return false;
    ++at_;
    return true;
  }
  [[nodiscard]] int line() const { return at_ < tokens_.size() ? tokens_[at_].line : 0; }
  void expect(std::string_view text) {
    if (!accept(text)) fail(fmt::format("expected '{}', found '{}'", text, peek()));
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw PtxError(fmt::format("PTX line {}: {}{}", line(), function_ ? "in " + function_->name + ": " : "", what));
  }
  void skip_statement() {
    while (next() != ";") {
    }
  }
  std::int64_t integer() {
    const bool negative = accept("-");
    const auto value = static_cast<std::int64_t>(number(next()).number);
    return negative ? -value : value;
  }

  [[nodiscard]] Arg number(std::string_view text) const {
    const std::optional<Arg> arg = literal(text);
    if (!arg) fail(fmt::format("bad number '{}'", text));
    return *arg;
  }

  // ---- declarations
  void top_level() {
    const std::string_view word = peek();
    if (word == ".version" || word == ".address_size") {
      at_ += 2;
    } else if (word == ".target") {
      ++at_;
      module_->target = next();
      while (accept(",")) ++at_;
    } else if (word == ".file") {
      ++at_;
      const auto id = static_cast<int>(integer());
      std::string_view name = next();
      module_->files[id] = std::string(name.substr(1, name.size() - 2));
      while (accept(",")) ++at_;
    } else if (word == ".section") {
      while (next() != "{") {
      }
      while (next() != "}") {
      }
    } else if (word == ".visible" || word == ".extern" || word == ".weak" || word == ".common") {
      ++at_;
    } else if (word == ".entry" || word == ".func") {
      function();
    } else if (word == ".global" || word == ".const" || word == ".shared") {
      for (Variable& variable : declaration()) module_->variables.push_back(std::move(variable));
    } else if (word == ".alias" || word == ".pragma") {
      skip_statement();
    } else if (!accept(";")) {
      fail(fmt::format("unknown directive '{}'", word));
    }
  }

  // .space [.align n] [.v2|.v4] .type name[n] = {...}, name ... ;   or without the end for a parameter
  Variable variable_head() {
    Variable variable{.space = std::string(next().substr(1))};
    std::size_t lanes = 1;
    while (peek().starts_with(".")) {
      const std::string_view word = next();
      if (word == ".align") {
        variable.align = static_cast<std::size_t>(integer());
      } else if (word == ".v2" || word == ".v4") {
        lanes = word == ".v2" ? 2 : 4;
      } else if (word == ".ptr" || word == ".attribute" || word == ".global" || word == ".const" || word == ".shared" ||
                 word == ".local") {
        if (word == ".attribute") {
          while (next() != ")") {
          }
        }
      } else {
        variable.type = word.substr(1);
      }
    }
    variable.bytes = type_bytes(variable.type) * lanes;
    if (variable.align == 0) variable.align = std::max<std::size_t>(variable.bytes, 1);
    return variable;
  }

  void variable_tail(Variable& variable) {
    variable.name = next();
    if (accept("<")) {
      variable.range = static_cast<int>(integer());
      expect(">");
    }
    while (accept("[")) {
      if (accept("]")) {
        variable.open_array = true;
        variable.bytes = 0;
      } else {
        variable.bytes *= static_cast<std::size_t>(integer());
        expect("]");
      }
    }
    if (accept("=")) {
      const std::size_t step = type_bytes(variable.type);
      variable.initial.resize(variable.bytes);
      std::size_t offset = 0;
      initialiser(variable, step, offset);
    }
  }

  void initialiser(Variable& variable, std::size_t step, std::size_t& offset) {
    if (accept("{")) {
      while (!accept("}")) {
        initialiser(variable, step, offset);
        accept(",");
      }
      return;
    }
    if (offset + step > variable.bytes) fail("too many values in an initialiser");
    const bool negative = accept("-");
    if (is_digit(peek()[0])) {
      std::uint64_t bits = number(next()).number;
      if (negative) bits = ~bits + 1;
      std::memcpy(variable.initial.data() + offset, &bits, step);
    } else {
      std::string_view symbol = next();
      if (symbol == "generic") {
        expect("(");
        symbol = next();
        expect(")");
      }
      if (accept("+")) fail("an offset in a pointer initialiser is not supported");
      variable.pointers.emplace_back(offset, symbol);
    }
    offset += step;
  }

  std::vector<Variable> declaration() {
    const Variable head = variable_head();
    std::vector<Variable> out;
    do {
      out.push_back(head);
      variable_tail(out.back());
    } while (accept(","));
    expect(";");
    return out;
  }

  std::vector<Variable> parameters() {
    std::vector<Variable> out;
    if (!accept("(")) return out;
    while (!accept(")")) {
      Variable variable = variable_head();
      variable_tail(variable);
      out.push_back(std::move(variable));
      accept(",");
    }
    return out;
  }

  // ---- functions
  void function() {
    Function function{};
    function.is_kernel = next() == ".entry";
    function.results = parameters();
    function.name = next();
    function.params = parameters();
    while (peek() != "{" && peek() != ";" && !done()) {  // .maxntid 256, 1, 1 and the like
      if (next() != ".reqnctapercluster") continue;
      function.cluster = {1, 1, 1};
      for (std::uint32_t& size : function.cluster) {
        size = static_cast<std::uint32_t>(integer());
        if (!accept(",")) break;
      }
    }
    if (accept(";")) return;  // a declaration: known by name when it is called
    function_ = &function;
    scopes_.assign(1, 0);
    function.scope_parent.assign(1, -1);
    names_.assign(1, {});
    here_ = outer_ = {};
    inlined_.clear();
    expect("{");
    while (!scopes_.empty()) statement();
    function_ = nullptr;
    module_->functions[function.name] = std::move(function);
  }

  void statement() {
    const std::string_view word = peek();
    if (accept("{")) {
      function_->scope_parent.push_back(scopes_.back());
      scopes_.push_back(static_cast<int>(function_->scope_parent.size()) - 1);
      names_.emplace_back();
    } else if (accept("}")) {
      scopes_.pop_back();
      names_.pop_back();
    } else if (accept(";")) {
    } else if (word == ".loc") {
      location();
    } else if (word == ".reg" || word == ".local" || word == ".shared" || word == ".param") {
      for (Variable& variable : declaration()) declare(std::move(variable));
    } else if (word == ".pragma") {
      skip_statement();
    } else if (word.starts_with(".")) {
      fail(fmt::format("unknown directive '{}'", word));
    } else if (peek(1) == ":") {
      label();
    } else {
      instruction();
    }
  }

  struct Location {
    int file = 0, line = 0, column = 0;
    auto operator<=>(const Location&) const = default;
  };
  Location read_location() {
    const auto file = static_cast<int>(integer());
    const auto line_number = static_cast<int>(integer());
    return {file, line_number, static_cast<int>(integer())};
  }

  // .loc file line column [, function_name label [+ n], inlined_at file line column]
  void location() {
    ++at_;
    const Location here = read_location();
    Location outer;
    if (accept(",")) {
      at_ += 2;
      if (accept("+")) ++at_;
      expect(",");
      expect("inlined_at");
      const Location call = read_location();
      // The call may itself lie in an inlined function, whose own .loc came before.
      const auto further = inlined_.find(call);
      outer = further == inlined_.end() ? call : further->second;
      inlined_[here] = outer;
    } else {
      inlined_.erase(here);
    }
    if (here.line == 0) return;  // code that belongs to no line; the last one serves a reader better
    here_ = here;
    outer_ = outer;
  }

  // Names of an inner scope (inline assembly, call sequences) get a number so that they stay apart.
  void declare(Variable variable) {
    if (scopes_.size() > 1) {
      const std::string unique = fmt::format("{}@{}", variable.name, scopes_.back());
      names_.back()[variable.name] = unique;
      variable.name = unique;
    }
    function_->variables.push_back(std::move(variable));
  }

  [[nodiscard]] std::string resolve(std::string_view name) const {
    for (std::size_t i = names_.size(); i-- > 0;) {
      if (const auto found = names_[i].find(std::string(name)); found != names_[i].end()) return found->second;
    }
    return std::string(name);
  }

  void label() {
    const std::string name = fmt::format("{}@{}", next(), scopes_.back());
    expect(":");
    if (accept(".branchtargets")) {
      std::vector<std::string> targets;
      do targets.emplace_back(next());
      while (accept(","));
      expect(";");
      function_->targets[name] = std::move(targets);
      return;
    }
    if (accept(".callprototype")) return skip_statement();
    function_->labels[name] = function_->code.size();
  }

  void instruction() {
    Instruction out{.ptx_line = line(),
                    .file = here_.file,
                    .line = here_.line,
                    .outer_file = outer_.file,
                    .outer_line = outer_.line,
                    .scope = scopes_.back()};
    if (accept("@")) {
      out.guard_negated = accept("!");
      out.guard = resolve(next());
    }
    out.opcode = next();
    while (!accept(";")) {
      out.args.push_back(operand());
      if (accept("|")) out.args.push_back(operand());  // d|p
      accept(",");
    }
    function_->code.push_back(std::move(out));
  }

  Arg operand() {
    if (accept("!")) {
      Arg arg = operand();
      arg.negated = true;
      return arg;
    }
    if (accept("-")) {
      Arg arg = number(next());
      arg.number = arg.is_double ? arg.number ^ (std::uint64_t{1} << 63) : ~arg.number + 1;
      return arg;
    }
    if (accept("{")) return list(Arg::Kind::kVector, "}");
    if (accept("(")) return list(Arg::Kind::kList, ")");
    if (accept("[")) return address();
    if (accept("_")) return {};
    const std::string_view word = next();
    if (is_digit(word[0])) return number(word);
    Arg arg{.kind = word[0] == '%' ? Arg::Kind::kRegister : Arg::Kind::kSymbol, .name = resolve(word)};
    if (accept("+")) arg.displacement = integer();
    return arg;
  }

  Arg list(Arg::Kind kind, std::string_view close) {
    Arg arg{.kind = kind};
    while (!accept(close)) {
      arg.parts.push_back(operand());
      accept(",");
    }
    return arg;
  }

  Arg address() {
    Arg arg{.kind = Arg::Kind::kAddress};
    if (is_digit(peek()[0])) {
      arg.displacement = integer();
    } else {
      arg.name = resolve(next());
      if (accept("+")) arg.displacement = integer();
      if (peek() == "-") arg.displacement = integer();
    }
    if (accept(",")) arg.parts.push_back(operand());  // the coordinates of a tensor
    expect("]");
    return arg;
  }

  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  std::unique_ptr<Module> module_ = std::make_unique<Module>();
  Function* function_ = nullptr;
  std::vector<int> scopes_;
  std::vector<std::unordered_map<std::string, std::string>> names_;
  Location here_, outer_;
  std::map<Location, Location> inlined_;
};

}  // namespace

std::unique_ptr<Module> parse(std::string_view text) { return Parser(text).module(); }

std::size_t type_bytes(std::string_view type) {
  if (type == "pred") return 0;
  if (type.ends_with("128")) return 16;
  if (type.ends_with("64")) return 8;
  if (type.ends_with("32") || type.ends_with("16x2")) return 4;
  if (type.ends_with("16")) return 2;
  if (type.ends_with("8")) return 1;
  throw PtxError(fmt::format("PTX: unknown type '{}'", type));
}

}  // namespace ptx
