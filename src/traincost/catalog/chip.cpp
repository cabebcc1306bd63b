#include <algorithm>
#include <array>

#include <traincost/catalog/chip.hpp>
#include <traincost/catalog/chip_name.hpp>
#include <traincost/catalog/embedded.hpp>
#include <traincost/catalog/text_file.hpp>
#include <traincost/catalog/toml_table.hpp>

namespace traincost::catalog {
namespace {

template <class Figure>
struct Key {
  const char* key;
  std::optional<Figure> Chip::*member;
};

constexpr std::array<Key<units::FlopsPerSecond>, 7> kRates{{{"fp64_dense_flops", &Chip::fp64_dense_flops},
                                                            {"tf32_dense_flops", &Chip::tf32_dense_flops},
                                                            {"bf16_dense_flops", &Chip::bf16_dense_flops},
                                                            {"fp16_dense_flops", &Chip::fp16_dense_flops},
                                                            {"fp8_dense_flops", &Chip::fp8_dense_flops},
                                                            {"fp4_dense_flops", &Chip::fp4_dense_flops},
                                                            {"int8_dense_ops", &Chip::int8_dense_ops}}};
constexpr std::array<Key<units::Bytes>, 2> kSizes{
    {{"memory_bytes", &Chip::memory_bytes}, {"l2_bytes", &Chip::l2_bytes}}};
constexpr std::array<Key<units::BytesPerSecond>, 3> kBandwidths{{{"memory_bytes_per_s", &Chip::memory_bytes_per_s},
                                                                 {"link_bytes_per_s", &Chip::link_bytes_per_s},
                                                                 {"host_bytes_per_s", &Chip::host_bytes_per_s}}};
constexpr std::array<Key<units::Watts>, 2> kPowers{
    {{"tdp_watts", &Chip::tdp_watts}, {"uncapped_tdp_watts", &Chip::uncapped_tdp_watts}}};
constexpr std::array<Key<units::Dollars>, 1> kPrices{{{"price_usd", &Chip::price_usd}}};
constexpr std::array<Key<double>, 7> kNumbers{{{"sm_count", &Chip::sm_count},
                                               {"exponentials_per_sm_clock", &Chip::exponentials_per_sm_clock},
                                               {"scale_up_gpus", &Chip::scale_up_gpus},
                                               {"die_area_mm2", &Chip::die_area_mm2},
                                               {"tpp", &Chip::tpp},
                                               {"tpp_bits", &Chip::tpp_bits},
                                               {"published_tpp", &Chip::published_tpp}}};
constexpr std::array<Key<bool>, 3> kFlags{{{"is_nonplanar", &Chip::is_nonplanar},
                                           {"is_datacenter", &Chip::is_datacenter},
                                           {"is_china_sku", &Chip::is_china_sku}}};

struct TextKey {
  const char* key;
  std::string Chip::*member;
};
constexpr std::array<TextKey, 5> kRequiredTexts{{{"id", &Chip::id},
                                                 {"name", &Chip::name},
                                                 {"vendor", &Chip::vendor},
                                                 {"arch", &Chip::arch},
                                                 {"source", &Chip::source}}};
constexpr std::array<TextKey, 7> kTexts{{{"release_date", &Chip::release_date},
                                         {"tpp_format", &Chip::tpp_format},
                                         {"published_eccn", &Chip::published_eccn},
                                         {"memory_type", &Chip::memory_type},
                                         {"link_name", &Chip::link_name},
                                         {"headquarters", &Chip::headquarters},
                                         {"notes", &Chip::notes}}};

template <class Keys>
void read_figures(TomlTable& table, const Keys& keys, Chip& chip) {
  for (const auto& [key, member] : keys) {
    if (const auto value = table.positive_figure(key)) chip.*member = {*value};
  }
}

std::string required_choice(TomlTable& table, const std::string& key, const std::vector<std::string>& allowed) {
  table.required_text(key);
  return table.choice(key, allowed, "");
}

std::vector<Chip> read_embedded() {
  std::vector<Chip> all;
  all.reserve(embedded_chips().size());
  for (const Embedded& file : embedded_chips()) all.push_back(parse_chip(file.text, std::string(file.name)));
  std::sort(all.begin(), all.end(), [](const Chip& a, const Chip& b) { return a.id < b.id; });
  return all;
}

bool is_named(const Chip& chip, const std::string& plain) {
  return plain_chip_name(chip.id) == plain ||
         std::any_of(chip.aliases.begin(), chip.aliases.end(),
                     [&](const std::string& alias) { return plain_chip_name(alias) == plain; });
}

}  // namespace

Chip parse_chip(std::string_view toml, const std::string& origin) {
  TomlTable table(toml, origin);
  Chip chip;
  for (const auto& [key, member] : kRequiredTexts) chip.*member = table.required_text(key);
  chip.aliases = table.texts("aliases");
  read_figures(table, kRates, chip);
  read_figures(table, kSizes, chip);
  read_figures(table, kBandwidths, chip);
  read_figures(table, kPowers, chip);
  read_figures(table, kPrices, chip);
  read_figures(table, kNumbers, chip);
  for (const auto& [key, member] : kFlags) chip.*member = table.flag(key);
  for (const auto& [key, member] : kTexts) chip.*member = table.text(key);
  chip.confirmed =
      required_choice(table, "confirmed", {"yes", "partial", "derived", "announced", "rumour", "unconfirmed"});
  table.finish();
  return chip;
}

const std::vector<Chip>& chips() {
  static const std::vector<Chip> kChips = read_embedded();
  return kChips;
}

std::vector<Chip> chips_with(const std::vector<std::filesystem::path>& files) {
  std::vector<Chip> all;
  all.reserve(files.size() + chips().size());
  for (const auto& file : files) all.push_back(parse_chip(read_text_file(file), file.string()));
  all.insert(all.end(), chips().begin(), chips().end());
  return all;
}

const Chip* find_chip(const std::vector<Chip>& chips, std::string_view name) {
  const std::string plain = plain_chip_name(name);
  if (plain.empty()) return nullptr;
  const auto found = std::find_if(chips.begin(), chips.end(), [&](const Chip& chip) { return is_named(chip, plain); });
  return found == chips.end() ? nullptr : &*found;
}

bool is_blackwell(const Chip& chip) { return chip.arch.starts_with("Blackwell"); }

}  // namespace traincost::catalog
