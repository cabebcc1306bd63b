#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include <traincost/cost/kernel_row.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

struct TextColumn {
  std::string_view name;
  std::string KernelRow::*member;
};
struct NumberColumn {
  std::string_view name;
  std::optional<double> KernelRow::*member;
};

constexpr TextColumn kTexts[] = {
    {"kernel", &KernelRow::kernel}, {"op_family", &KernelRow::op_family}, {"metric", &KernelRow::metric},
    {"unit", &KernelRow::unit},     {"dtype", &KernelRow::dtype},         {"gpu", &KernelRow::gpu},
    {"chip", &KernelRow::chip},     {"pass", &KernelRow::pass},
};
constexpr NumberColumn kNumbers[] = {
    {"m", &KernelRow::m},           {"n", &KernelRow::n},           {"k", &KernelRow::k},
    {"tokens", &KernelRow::tokens}, {"hidden", &KernelRow::hidden}, {"experts", &KernelRow::experts},
    {"topk", &KernelRow::topk},     {"heads", &KernelRow::heads},   {"seq", &KernelRow::seq},
    {"batch", &KernelRow::batch},   {"d_qk", &KernelRow::d_qk},     {"d_v", &KernelRow::d_v},
    {"s_q", &KernelRow::s_q},       {"causal", &KernelRow::causal}, {"kv_heads", &KernelRow::kv_heads},
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

}  // namespace

void require_kernel_columns(const measure::CsvTable& table) {
  for (const auto name : {"id", "op_family", "metric", "unit"})
    if (!measure::column(table, name)) throw InputError(fmt::format("{}: no column '{}'", table.origin, name));
}

KernelRow kernel_row(const measure::CsvTable& table, std::size_t row) {
  KernelRow out;
  for (const auto& [name, member] : kTexts)
    if (const auto at = measure::column(table, name)) out.*member = table.rows[row][*at];
  for (const auto& [name, member] : kNumbers) {
    const auto at = measure::column(table, name);
    if (!at) continue;
    out.*member = measure::number(table, row, *at);
    const bool may_be_zero = name == "causal";
    if (out.*member && (*(out.*member) < 0 || (*(out.*member) == 0 && !may_be_zero)))
      throw InputError(fmt::format("{}:{}: column '{}': '{}', expected a positive number", table.origin,
                                   table.lines[row], name, table.rows[row][*at]));
  }
  return out;
}

bool mentions(const KernelRow& row, std::string_view word) {
  return lower(row.kernel).find(lower(word)) != std::string::npos;
}

std::optional<double> number_after(const KernelRow& row, std::string_view before) {
  const std::string text = lower(row.kernel);
  const std::string key = lower(before);
  for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
    if (at > 0 && std::isalpha(static_cast<unsigned char>(text[at - 1])) != 0) continue;  // "deep8" is no "ep8"
    std::size_t begin = at + key.size();
    while (begin < text.size() && text[begin] == ' ') ++begin;
    std::size_t end = begin;
    while (end < text.size() && is_digit(text[end])) ++end;
    if (end > begin) return measure::parse_number(text.substr(begin, end - begin));
  }
  return std::nullopt;
}

std::optional<double> number_before(const KernelRow& row, std::string_view after) {
  const std::string text = lower(row.kernel);
  const std::string key = lower(after);
  for (std::size_t at = text.find(key); at != std::string::npos; at = text.find(key, at + 1)) {
    std::size_t end = at;
    while (end > 0 && text[end - 1] == ' ') --end;
    std::size_t begin = end;
    while (begin > 0 && is_digit(text[begin - 1])) --begin;
    if (end > begin) return measure::parse_number(text.substr(begin, end - begin));
  }
  return std::nullopt;
}

}  // namespace traincost::cost
