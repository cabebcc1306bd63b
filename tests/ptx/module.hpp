#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

// The text of a PTX module as plain values. Nothing here knows what an instruction does.
namespace ptx {

struct Arg {
  enum class Kind { kRegister, kNumber, kSymbol, kAddress, kVector, kSink, kList } kind = Kind::kSink;
  std::string name{};        // register, symbol or label; for an address its base (empty: an absolute address)
  std::uint64_t number = 0;  // the bits of a literal
  std::int64_t displacement = 0;
  bool is_double = false;    // a 0d or decimal floating literal: 64 bits
  bool negated = false;      // !%p
  std::vector<Arg> parts{};  // {a, b} or (a, b)
};

struct Instruction {
  std::string guard{};  // predicate register, empty: always
  bool guard_negated = false;
  std::string opcode{};  // with all its modifiers
  std::vector<Arg> args{};
  int ptx_line = 0;
  int file = 0;  // of the last .loc; 0: none
  int line = 0;
  int outer_file = 0;  // where the code was inlined, outermost; 0: it was not
  int outer_line = 0;
  int scope = 0;
};

struct Variable {
  std::string name{};
  std::string space{};  // reg, param, local, shared, global, const
  std::string type{};   // b32, f64, pred, ...
  std::size_t align = 0;
  std::size_t bytes = 0;    // of the whole variable
  bool open_array = false;  // .extern .shared x[]
  int range = -1;           // %r<29>: 29 registers; -1: one
  std::vector<std::uint8_t> initial{};
  std::vector<std::pair<std::size_t, std::string>> pointers{};  // (offset, symbol) of an initialiser
};

struct Function {
  std::string name;
  bool is_kernel = false;
  std::array<std::uint32_t, 3> cluster{};  // .reqnctapercluster; zeros: not given
  std::vector<Variable> results;
  std::vector<Variable> params;
  std::vector<Variable> variables;
  std::vector<Instruction> code;
  std::unordered_map<std::string, std::size_t> labels;                // "name@scope" -> index into code
  std::unordered_map<std::string, std::vector<std::string>> targets;  // .branchtargets, by label
  std::vector<int> scope_parent;
};

struct Module {
  std::string target;  // sm_80
  std::vector<Variable> variables;
  std::unordered_map<std::string, Function> functions;
  std::unordered_map<int, std::string> files;
};

/// Throws PtxError with the line.
[[nodiscard]] std::unique_ptr<Module> parse(std::string_view text);

/// 12, 0x1f, 0f3F800000, 0d..., 1.5 (PTX ISA 4.5); nothing when the text is no number.
[[nodiscard]] std::optional<Arg> literal(std::string_view text);

/// The bytes of one element of a PTX type; 0 for pred.
[[nodiscard]] std::size_t type_bytes(std::string_view type);

}  // namespace ptx
