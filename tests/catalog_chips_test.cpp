#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include <traincost/catalog/chip.hpp>
#include <traincost/catalog/chip_name.hpp>
#include <traincost/catalog/embedded.hpp>
#include <traincost/units/error.hpp>

namespace traincost::catalog {
namespace {

using work::Dtype;

const Chip& chip(std::string_view name) {
  const Chip* found = find_chip(chips(), name);
  if (found == nullptr) throw InputError("no chip " + std::string(name));
  return *found;
}

TEST(Chips, EveryFileIsNamedAfterItsId) {
  for (const Embedded& file : embedded_chips()) {
    EXPECT_EQ(parse_chip(file.text, std::string(file.name)).id + ".toml", file.name);
  }
}

TEST(Chips, AreSortedByIdAndAllThere) {
  EXPECT_EQ(chips().size(), 93u);
  EXPECT_TRUE(std::is_sorted(chips().begin(), chips().end(), [](const Chip& a, const Chip& b) { return a.id < b.id; }));
}

TEST(Chips, NoTwoShareAName) {
  std::map<std::string, std::string> owner;
  for (const Chip& c : chips()) {
    std::set<std::string> names{plain_chip_name(c.id)};
    for (const auto& alias : c.aliases) names.insert(plain_chip_name(alias));
    EXPECT_EQ(names.size(), c.aliases.size() + 1) << c.id << " repeats an alias";
    for (const auto& name : names) EXPECT_TRUE(owner.emplace(name, c.id).second) << name << ": " << owner[name];
  }
}

// Bounds that a figure in a neighbouring unit would break: GB/s for Gb/s is a factor 8, GB/s without its 1e9 far more.
TEST(Chips, FiguresHaveTheMagnitudeOfTheirUnit) {
  const auto in = [](const auto& figure, double low, double high) {
    return !figure || (figure->value >= low && figure->value <= high);
  };
  for (const Chip& c : chips()) {
    EXPECT_FALSE(c.source.empty()) << c.id;
    for (const auto& figure : {c.bf16_dense_flops, c.fp16_dense_flops, c.fp8_dense_flops, c.fp4_dense_flops,
                               c.int8_dense_ops, c.tf32_dense_flops}) {
      EXPECT_TRUE(in(figure, 1e12, 1e17)) << c.id;
    }
    EXPECT_TRUE(in(c.memory_bytes, 16e9, 400e9)) << c.id;
    EXPECT_TRUE(in(c.memory_bytes_per_s, 1e11, 1e14)) << c.id;
    EXPECT_TRUE(in(c.link_bytes_per_s, 1e10, 2e12)) << c.id;
    EXPECT_TRUE(in(c.host_bytes_per_s, 1e10, 1e12)) << c.id;
    EXPECT_TRUE(in(c.l2_bytes, 4e6, 3e8)) << c.id;
    EXPECT_TRUE(in(c.tdp_watts, 50, 2500)) << c.id;
    EXPECT_TRUE(in(c.price_usd, 900, 60000)) << c.id;
    if (c.memory_bytes_per_s && c.link_bytes_per_s) {
      EXPECT_LT(*c.link_bytes_per_s, *c.memory_bytes_per_s) << c.id;
    }
  }
}

// A sparse figure in one column shows as a ratio that no dense tensor core has.
TEST(Chips, RatesAreDense) {
  for (const Chip& c : chips()) {
    const auto ordered = [&](const auto& narrow, const auto& wide, double most) {
      if (!narrow || !wide) return;
      EXPECT_GE(narrow->value, wide->value) << c.id;
      EXPECT_LE(narrow->value, wide->value * most) << c.id;
    };
    ordered(c.bf16_dense_flops, c.tf32_dense_flops, 4);  // Trainium3, Gaudi3: nearly 4
    // GeForce halves bf16 with fp32 accumulation; Rubin and Trainium3 claim more than twice the bf16 rate in fp8.
    const bool has_twice_the_rate = c.is_datacenter.value_or(true) && c.arch != "Rubin" && c.arch != "Trainium";
    // double.
    ordered(c.fp8_dense_flops, c.bf16_dense_flops, has_twice_the_rate ? 2.05 : 4.4);
    ordered(c.fp4_dense_flops, c.fp8_dense_flops, 3.2);  // Blackwell Ultra: 3
  }
}

TEST(Chips, TppIsTheRateTimesItsBits) {
  const std::map<std::string, std::optional<units::FlopsPerSecond> Chip::*> formats{
      {"fp64", &Chip::fp64_dense_flops}, {"tf32", &Chip::tf32_dense_flops}, {"bf16", &Chip::bf16_dense_flops},
      {"fp16", &Chip::fp16_dense_flops}, {"fp8", &Chip::fp8_dense_flops},   {"fp4", &Chip::fp4_dense_flops},
      {"int8", &Chip::int8_dense_ops}};
  int compared = 0;
  for (const Chip& c : chips()) {
    if (!c.tpp) continue;
    ASSERT_TRUE(formats.count(c.tpp_format)) << c.id << ": " << c.tpp_format;
    const double rate = (c.*formats.at(c.tpp_format)).value_or(units::FlopsPerSecond{}).value;
    EXPECT_NEAR(*c.tpp, rate / 1e12 * c.tpp_bits.value_or(0), 1e-9 * *c.tpp) << c.id;
    ++compared;
  }
  EXPECT_EQ(compared, 89);  // all but three without a rate (6000D, B20, MI308X) and 910D
}

TEST(Chips, FiguresOfTheOnesThatTheModelLeansOn) {
  using units::BytesPerSecond;
  using units::FlopsPerSecond;
  const Chip& h800 = chip("h800-sxm5-80gb");
  EXPECT_EQ(h800.bf16_dense_flops, FlopsPerSecond{989.4e12});
  EXPECT_EQ(h800.fp8_dense_flops, FlopsPerSecond{1979e12});
  EXPECT_EQ(h800.memory_bytes_per_s, BytesPerSecond{3.35e12});
  EXPECT_EQ(h800.link_bytes_per_s, BytesPerSecond{200e9});  // one direction
  EXPECT_EQ(chip("h100-sxm5-80gb").link_bytes_per_s, BytesPerSecond{450e9});
  EXPECT_EQ(h800.sm_count, 132);
  EXPECT_EQ(h800.host_bytes_per_s, BytesPerSecond{64e9});
  EXPECT_EQ(chip("gb200").scale_up_gpus, 72);
  EXPECT_EQ(chip("l4").link_bytes_per_s, std::nullopt);
}

// Every way in which the published tables of kernels and runs name a GPU.
TEST(FindChip, NamesOfPublishedTables) {
  const std::map<std::string, std::string> names{
      {"A100", "a100-sxm4-80gb"},
      {"A100 40GB SXM4", "a100-sxm4-40gb"},
      {"A100 80GB", "a100-sxm4-80gb"},
      {"A100 80GB SXM4", "a100-sxm4-80gb"},
      {"A100 PCIe", "a100-pcie-80gb"},
      {"A100 SXM", "a100-sxm4-80gb"},
      {"A100-PCIE-80GB", "a100-pcie-80gb"},
      {"A100-SXM4-40GB", "a100-sxm4-40gb"},
      {"A100-SXM4-80GB", "a100-sxm4-80gb"},
      {"A100-SXM4-80GB (Azure ND A100 v4)", "a100-sxm4-80gb"},
      {"A40", "a40"},
      {"AMD Instinct MI210", "mi210"},
      {"AMD Instinct MI300X", "mi300x"},
      {"B200", "b200-sxm"},
      {"B200 (8/node)", "b200-sxm"},
      {"B200 (8/node, NDR IB)", "b200-sxm"},
      {"B200 1000W", "b200-sxm"},
      {"B200 SXM", "b200-sxm"},
      {"B200 x8", "b200-sxm"},
      {"B200-SXM-180GB", "b200-sxm"},
      {"B300", "b300-sxm"},
      {"B300 SXM", "b300-sxm"},
      {"B300-SXM", "b300-sxm"},
      {"DCU K100_AI", "hygon-dcu-k100-ai"},
      {"GB200", "gb200"},
      {"GB200 SXM", "gb200"},
      {"GB200-NVL72", "gb200"},
      {"GB300", "gb300"},
      {"GB300-NVL72", "gb300"},
      {"GH200 144G HBM3e", "gh200-144gb"},
      {"GH200 96GB", "gh200-96gb"},
      {"GH200 SXM", "gh200-96gb"},
      {"Gaudi 3", "gaudi3"},
      {"GeForce RTX 3090", "rtx-3090"},
      {"GeForce RTX 3090 Ti", "rtx-3090-ti"},
      {"GeForce RTX 4090", "rtx-4090"},
      {"H100", "h100-sxm5-80gb"},
      {"H100 (4 nodes)", "h100-sxm5-80gb"},
      {"H100 (Modal)", "h100-sxm5-80gb"},
      {"H100 (variant not stated in README)", "h100-sxm5-80gb"},
      {"H100 80GB", "h100-sxm5-80gb"},
      {"H100 80GB HBM3", "h100-sxm5-80gb"},
      {"H100 80GB HBM3 SXM (Azure ND H100 v5)", "h100-sxm5-80gb"},
      {"H100 80GB SXM5", "h100-sxm5-80gb"},
      {"H100 HBM3", "h100-sxm5-80gb"},
      {"H100 NVL*", "h100-nvl-94gb"},
      {"H100 PCIe", "h100-pcie-80gb"},
      {"H100 RoCE x32", "h100-sxm5-80gb"},
      {"H100 SXM", "h100-sxm5-80gb"},
      {"H100 SXM 80GB", "h100-sxm5-80gb"},
      {"H100 SXM 96GB", "h100-sxm5-96gb"},
      {"H100 x16", "h100-sxm5-80gb"},
      {"H100-SXM-96GB-HBM2e-500W", "h100-sxm5-96gb-500w"},
      {"H100-SXM5-80GB", "h100-sxm5-80gb"},
      {"H100/H800 (Hopper, model not stated in figure)", "h100-sxm5-80gb"},
      {"H200", "h200-sxm-141gb"},
      {"H200 (PR states H200 for e2e)", "h200-sxm-141gb"},
      {"H200 141GB (Azure ND H200 v5)", "h200-sxm-141gb"},
      {"H200 SXM", "h200-sxm-141gb"},
      {"H200 x8", "h200-sxm-141gb"},
      {"H200-SXM-141GB", "h200-sxm-141gb"},
      {"H800", "h800-sxm5-80gb"},
      {"H800 + CX7 400Gb/s", "h800-sxm5-80gb"},
      {"H800 PCIe", "h800-pcie-80gb"},
      {"H800 SXM", "h800-sxm5-80gb"},
      {"H800 SXM5", "h800-sxm5-80gb"},
      {"H800-SXM5-80GB", "h800-sxm5-80gb"},
      {"L4", "l4"},
      {"L40", "l40"},
      {"L40S", "l40s"},
      {"MI100", "mi100"},
      {"MI210", "mi210"},
      {"MI300X", "mi300x"},
      {"MI308", "mi308x"},
      {"MI355X", "mi355x"},
      {"NVIDIA A100-SXM4-80GB", "a100-sxm4-80gb"},
      {"NVIDIA B200", "b200-sxm"},
      {"NVIDIA B300 SXM6 AC", "b300-sxm"},
      {"NVIDIA GB200", "gb200"},
      {"NVIDIA GB300", "gb300"},
      {"NVIDIA H100 80GB HBM3", "h100-sxm5-80gb"},
      {"NVIDIA H200", "h200-sxm-141gb"},
      {"NVIDIA L40S", "l40s"},
      {"NVIDIA RTX PRO 6000 Blackwell Server Edition", "rtx-pro-6000-blackwell-server"},
      {"RTX 4090", "rtx-4090"},
      {"RTX 6000 Ada Generation", "rtx-6000-ada"},
      {"RTX A6000", "rtx-a6000"},
      {"Radeon RX 7900 XTX", "rx-7900-xtx"},
      {"Tesla V100-SXM2-16GB", "v100-sxm2-16gb"},
      {"V100 PCIe", "v100-pcie-16gb"},
      {"V100-SXM2-32GB", "v100-sxm2-32gb"},
  };
  for (const auto& [name, id] : names) {
    const Chip* found = find_chip(chips(), name);
    ASSERT_NE(found, nullptr) << name;
    EXPECT_EQ(found->id, id) << name;
  }
}

TEST(FindChip, NamesThatNameNoChipOfOurs) {
  const std::map<std::string, std::string> reasons{
      {"SM90 + CX7", "an architecture, not a chip"},
      {"SM100", "an architecture, not a chip"},
      {"SM100 + CX7", "an architecture, not a chip"},
      {"SM100 x8 (GPU model not stated)", "an architecture, not a chip"},
      {"UNSTATED 4 nodes", "no GPU stated"},
      {"A10G", "sold by one cloud only; no data sheet that would give its figures beyond doubt"},
      {"RTX 4000 Ada Generation", "a workstation card whose dense rates the maker does not print"},
      {"RTX 4000 SFF Ada Generation", "a workstation card whose dense rates the maker does not print"},
      {"", "nothing stated"}};
  for (const auto& [name, reason] : reasons) EXPECT_EQ(find_chip(chips(), name), nullptr) << name << ": " << reason;
}

TEST(FindChip, IgnoresCaseAndKeepsPartsApart) {
  EXPECT_EQ(chip("H800-SXM5-80GB").id, chip("h800-sxm5-80gb").id);
  EXPECT_EQ(chip("nvidia h20").id, "h20-96gb");
  EXPECT_EQ(chip("Ascend 910C").id, "ascend-910c");
  EXPECT_EQ(find_chip(chips(), "H10"), nullptr);
  EXPECT_EQ(find_chip(chips(), "H100 SXM9"), nullptr);
  EXPECT_EQ(find_chip(chips(), "(H100)"), nullptr);
}

TEST(Rate, FallsBackToTheNextFormatAndSaysSo) {
  const auto rate_of = [](std::string_view name, Dtype dtype) { return rate(chip(name), dtype).value_or(Rate{}); };
  const auto used = [&](std::string_view name, Dtype dtype) { return rate_of(name, dtype).used; };
  EXPECT_EQ(used("h800", Dtype::fp8_block), Dtype::fp8_block);
  EXPECT_EQ(rate_of("h800", Dtype::fp8).flops_per_s.value, 1979e12);
  EXPECT_EQ(used("a100", Dtype::fp8), Dtype::bf16);
  EXPECT_EQ(rate_of("a100", Dtype::mxfp8).flops_per_s.value, 312e12);
  EXPECT_EQ(used("b200", Dtype::nvfp4), Dtype::nvfp4);
  EXPECT_EQ(used("h100", Dtype::nvfp4), Dtype::fp8);
  EXPECT_EQ(used("a100", Dtype::nvfp4), Dtype::bf16);
  EXPECT_EQ(used("v100", Dtype::bf16), Dtype::fp16);
  EXPECT_EQ(used("tpu-v5p", Dtype::fp16), Dtype::bf16);
  EXPECT_EQ(used("h100", Dtype::tf32), Dtype::tf32);
  EXPECT_FALSE(rate(chip("b20"), Dtype::bf16).has_value());
  EXPECT_FALSE(rate(chip("h100"), Dtype::fp32).has_value());
}

constexpr const char* kSmallest =
    "id = \"mine\"\nname = \"Mine\"\nvendor = \"Me\"\narch = \"New\"\nsource = \"measured\"\nconfirmed = \"yes\"\n";

std::string refusal(const std::string& toml) {
  try {
    parse_chip(toml, "my.toml");
  } catch (const InputError& error) {
    return error.what();
  }
  return "nothing thrown";
}

TEST(ParseChip, RefusesWhatItCannotUse) {
  EXPECT_EQ(refusal(kSmallest), "nothing thrown");
  EXPECT_EQ(refusal(std::string(kSmallest) + "bf16_flops = 1e15\n"),
            "my.toml:7: bf16_flops = 1000000000000000.0: unknown key");
  EXPECT_EQ(refusal(std::string(kSmallest) + "tdp_watts = -700\n"),
            "my.toml:7: tdp_watts = -700: expected a finite number that is not negative");
  EXPECT_EQ(refusal(std::string(kSmallest) + "memory_bytes = nan\n"),
            "my.toml:7: memory_bytes = nan: expected a finite number that is not negative");
  EXPECT_EQ(refusal("id = \"mine\"\nname = \"Mine\"\nvendor = \"Me\"\narch = \"New\"\nconfirmed = \"yes\"\n"),
            "my.toml: source is missing: expected a string that is not empty");
  EXPECT_EQ(
      refusal("id = \"mine\"\nname = \"Mine\"\nvendor = \"Me\"\narch = \"New\"\nsource = \"x\"\nconfirmed = \"so\"\n"),
      "my.toml:6: confirmed = \"so\": expected one of yes, partial, derived, announced, rumour, unconfirmed");
}

TEST(ChipsWith, AUsersChipComesFirst) {
  const auto path = std::filesystem::path(testing::TempDir()) / "traincost_my_chip.toml";
  std::ofstream(path) << "id = \"h100-sxm5-80gb\"\nname = \"Mine\"\nvendor = \"Me\"\narch = \"Hopper\"\n"
                         "source = \"measured\"\nconfirmed = \"yes\"\nbf16_dense_flops = 900e12\n";
  const auto all = chips_with({path});
  std::filesystem::remove(path);
  EXPECT_EQ(all.size(), chips().size() + 1);
  EXPECT_EQ(find_chip(all, "h100-sxm5-80gb")->bf16_dense_flops, units::FlopsPerSecond{900e12});
  EXPECT_THROW(chips_with({"no/such.toml"}), InputError);
}

}  // namespace
}  // namespace traincost::catalog
