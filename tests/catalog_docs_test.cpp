#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <traincost/catalog/chip.hpp>
#include <traincost/catalog/cluster.hpp>
#include <traincost/catalog/price.hpp>
#include <traincost/catalog/text_file.hpp>

namespace traincost::catalog {
namespace {

/// The ```toml blocks of docs/catalog.md, in order.
std::vector<std::string> examples() {
  const std::string text = read_text_file(TRAINCOST_SOURCE_DIR "/docs/catalog.md");
  const std::string open = "```toml\n";
  std::vector<std::string> blocks;
  for (auto at = text.find(open); at != std::string::npos; at = text.find(open, at)) {
    at += open.size();
    blocks.push_back(text.substr(at, text.find("```", at) - at));
  }
  return blocks;
}

TEST(CatalogDocs, ExamplesAreRead) {
  const auto blocks = examples();
  ASSERT_EQ(blocks.size(), 3u);
  EXPECT_EQ(parse_chip(blocks[0], "docs/catalog.md").link_bytes_per_s, units::BytesPerSecond{200e9});
  EXPECT_EQ(parse_cluster(blocks[1], "docs/catalog.md").network_bytes_per_s, units::BytesPerSecond{50e9});
  const auto prices = parse_prices(blocks[2], "docs/catalog.md");
  ASSERT_EQ(prices.size(), 1u);
  EXPECT_NEAR(prices[0].usd, 1400000 / 7.05 / 8, 1e-6);
}

}  // namespace
}  // namespace traincost::catalog
