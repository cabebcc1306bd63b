#include <gtest/gtest.h>

#include <set>
#include <string>

#include <traincost/catalog/cluster.hpp>
#include <traincost/catalog/embedded.hpp>
#include <traincost/units/error.hpp>

namespace traincost::catalog {
namespace {

Cluster of(std::string_view name) {
  const Chip* chip = find_chip(chips(), name);
  if (chip == nullptr) throw InputError("no chip " + std::string(name));
  return default_cluster(*chip);
}

TEST(Clusters, EveryFileIsNamedAfterItsIdAndNamesAChip) {
  for (const Embedded& file : embedded_clusters()) {
    const Cluster cluster = parse_cluster(file.text, std::string(file.name));
    EXPECT_EQ(cluster.id + ".toml", file.name);
    const Chip* chip = find_chip(chips(), cluster.chip);
    ASSERT_NE(chip, nullptr) << cluster.id;
    EXPECT_EQ(chip->id, cluster.chip) << "an id, not an alias";
  }
}

TEST(Clusters, OneDefaultPerChip) {
  std::set<std::string> seen;
  for (const Cluster& cluster : clusters()) EXPECT_TRUE(seen.insert(cluster.chip).second) << cluster.chip;
}

TEST(Clusters, AgreeWithTheirChip) {
  for (const Cluster& cluster : clusters()) {
    const Chip* chip = find_chip(chips(), cluster.chip);
    EXPECT_EQ(chip->link_bytes_per_s, cluster.link_bytes_per_s) << cluster.id;
    EXPECT_EQ(chip->scale_up_gpus, cluster.scale_up_gpus) << cluster.id;
  }
}

TEST(Clusters, FiguresHaveTheMagnitudeOfTheirUnit) {
  for (const Chip& chip : chips()) {
    const Cluster c = default_cluster(chip);
    EXPECT_EQ(c.chip, chip.id);
    EXPECT_FALSE(c.source.empty()) << c.id;
    EXPECT_GE(c.gpus_per_node, 4) << c.id;
    EXPECT_LE(c.gpus_per_node, c.scale_up_gpus) << c.id;
    EXPECT_GE(c.link_bytes_per_s, units::BytesPerSecond{1e10}) << c.id;
    EXPECT_LE(c.link_bytes_per_s, units::BytesPerSecond{2e12}) << c.id;
    EXPECT_GE(c.network_bytes_per_s, units::BytesPerSecond{5e9}) << c.id;
    EXPECT_LE(c.network_bytes_per_s, units::BytesPerSecond{1.01e11}) << c.id;
    EXPECT_LT(c.network_bytes_per_s, c.link_bytes_per_s) << c.id;
    EXPECT_GE(c.link_latency, units::Seconds{1e-6}) << c.id;
    EXPECT_LE(c.network_latency, units::Seconds{1e-5}) << c.id;
    EXPECT_LE(c.host_watts, units::Watts{1500}) << c.id;
  }
}

TEST(DefaultCluster, IsTheOneThatNamesTheChip) {
  EXPECT_EQ(of("h800").id, "hgx-h800");
  EXPECT_EQ(of("h800").link_bytes_per_s, units::BytesPerSecond{200e9});
  EXPECT_EQ(of("h800").network_bytes_per_s, units::BytesPerSecond{50e9});  // 400 Gb/s
  EXPECT_EQ(of("h100").host_watts, units::Watts{575});
  EXPECT_EQ(of("a100").network_bytes_per_s, units::BytesPerSecond{25e9});
  EXPECT_EQ(of("gb200").scale_up_gpus, 72);
  EXPECT_EQ(of("ascend-910c").scale_up_gpus, 384);
  EXPECT_EQ(find_cluster(clusters(), "hgx-h800")->chip, "h800-sxm5-80gb");
  EXPECT_EQ(find_cluster(clusters(), "hgx-h9"), nullptr);
}

TEST(DefaultCluster, IsBuiltFromTheChipOtherwise) {
  const Cluster h20 = of("h20-141gb");  // no entry of its own
  EXPECT_EQ(h20.link_bytes_per_s, units::BytesPerSecond{450e9});
  EXPECT_EQ(h20.scale_up_gpus, 8);
  EXPECT_EQ(h20.network_bytes_per_s, units::BytesPerSecond{50e9});
  EXPECT_EQ(h20.host_watts, units::Watts{320});
  EXPECT_EQ(h20.confirmed, "derived");

  const Cluster l40s = of("l40s");  // PCIe joins the node
  EXPECT_EQ(l40s.link_bytes_per_s, units::BytesPerSecond{32e9});
  EXPECT_EQ(l40s.scale_up_gpus, 8);
  EXPECT_EQ(l40s.network_bytes_per_s, units::BytesPerSecond{25e9});

  const Cluster bridged = of("a100-pcie-80gb");  // a bridge of two is no domain
  EXPECT_EQ(bridged.link_bytes_per_s, units::BytesPerSecond{32e9});

  EXPECT_EQ(of("ascend-910d").network_bytes_per_s, units::BytesPerSecond{25e9});  // nothing known
}

TEST(ParseCluster, RefusesWhatItCannotUse) {
  const std::string good(embedded_clusters().front().text);
  const auto refusal = [](const std::string& toml) -> std::string {
    try {
      parse_cluster(toml, "my.toml");
    } catch (const InputError& error) {
      return error.what();
    }
    return "nothing thrown";
  };
  EXPECT_EQ(refusal(good), "nothing thrown");
  EXPECT_EQ(refusal("gpus = 8\n" + good), "my.toml:1: gpus = 8: unknown key");
  EXPECT_EQ(refusal(""), "my.toml: id is missing: expected a string that is not empty");
  std::string half = good;
  half.replace(half.find("gpus_per_node = "), 17, "gpus_per_node = 7.5");
  EXPECT_EQ(refusal(half), "my.toml:4: gpus_per_node = 7.5: expected a whole number");
  EXPECT_THROW(clusters_with({"no/such.toml"}), InputError);
}

}  // namespace
}  // namespace traincost::catalog
