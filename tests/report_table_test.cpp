#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <traincost/report/number.hpp>
#include <traincost/report/table.hpp>

namespace traincost::report {
namespace {

Table sample() {
  return {.columns = {{"id", "chip"}, {"memory_bytes", "memory GB", 1e9, 1}, {"is_sold", "sold"}},
          .rows = {{Cell{"a, \"b\""}, Cell{80e9}, Cell{true}}, {Cell{"c"}, Cell{1234.5e9}, Cell{}}}};
}

TEST(Report, GroupsThousandsAndKeepsTheSign) {
  EXPECT_EQ(grouped(2788123.44, 1), "2,788,123.4");
  EXPECT_EQ(grouped(-1000, 0), "-1,000");
  EXPECT_EQ(grouped(999.6, 0), "1,000");
  EXPECT_EQ(grouped(-0.001, 1), "0.0");
  EXPECT_EQ(short_count(14.8e12), "14.8T");
  EXPECT_EQ(signed_percent(-0.046), "-4.6 %");
}

TEST(Report, AlignsNumbersToTheRight) {
  EXPECT_EQ(aligned(sample()),
            "chip    memory GB  sold\n"
            "------  ---------  ----\n"
            "a, \"b\"       80.0  yes\n"
            "c         1,234.5\n");
}

TEST(Report, CsvQuotesAndKeepsTheWholeValue) {
  EXPECT_EQ(csv(sample()), "id,memory_bytes,is_sold\n\"a, \"\"b\"\"\",80000000000,true\nc,1234500000000,\n");
}

TEST(Report, JsonIsNullWhereNothingIsKnown) {
  const auto parsed = nlohmann::json::parse(json(sample()));
  EXPECT_EQ(parsed.at(1).at("memory_bytes").get<double>(), 1234.5e9);
  EXPECT_TRUE(parsed.at(1).at("is_sold").is_null());
}

TEST(Report, MarkdownAndRecord) {
  EXPECT_EQ(markdown(sample()).substr(0, 46), "| chip | memory GB | sold |\n|---|---:|---|\n| a");
  EXPECT_EQ(aligned_record({sample().columns, {sample().rows[1]}}), "chip       c\nmemory GB  1,234.5\n");
}

}  // namespace
}  // namespace traincost::report
