#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include <traincost/measure/csv.hpp>
#include <traincost/units/error.hpp>

namespace traincost::measure {
namespace {

std::string message(const std::string& text) {
  try {
    parse_csv(text, "t.csv");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Csv, QuotesCommentsAndBlankLines) {
  const auto t = parse_csv("# source: x\n\nid,note\r\n1,\"a, \"\"b\"\"\nc\"\r\n\n2,\n3,last", "t.csv");
  EXPECT_EQ(t.header, (std::vector<std::string>{"id", "note"}));
  ASSERT_EQ(t.rows.size(), 3U);
  EXPECT_EQ(t.rows[0][1], "a, \"b\"\nc");
  EXPECT_EQ(t.rows[1][1], "");
  EXPECT_EQ(t.rows[2][1], "last");
  EXPECT_EQ(t.lines, (std::vector<std::size_t>{4, 7, 8}));
  EXPECT_EQ(column(t, "note"), 1U);
  EXPECT_EQ(column(t, "x"), std::nullopt);
}

TEST(Csv, SaysFileAndLine) {
  EXPECT_EQ(message("a,b\n1,2\n3\n"), "t.csv:3: 1 fields, expected 2 as in the header");
  EXPECT_EQ(message("a,b\n1,\"2\n"), "t.csv:2: open quote: the file is truncated");
  EXPECT_EQ(message("a,b\n1,\"2\"x\n"), "t.csv:2: text after a closing quote");
  EXPECT_EQ(message("a,a\n"), "t.csv:1: column a twice");
  EXPECT_EQ(message(""), "t.csv: empty, expected a CSV header");
}

TEST(Csv, NumbersAreFiniteAndWhole) {
  const auto t = parse_csv("a\n 1.5e3 \n\" \"\nnan\n12x\n1e999\n-3\n", "t.csv");
  EXPECT_EQ(number(t, 0, 0), 1500);
  EXPECT_EQ(number(t, 1, 0), std::nullopt);
  EXPECT_EQ(number(t, 5, 0), -3);
  for (std::size_t row : {2, 3, 4}) EXPECT_THROW(number(t, row, 0), InputError) << row;
}

TEST(Csv, RefusesBinaryMissingAndHuge) {
  EXPECT_THROW(read_csv("/nonexistent.csv"), InputError);
  EXPECT_THROW(read_csv("/"), InputError);
  EXPECT_THROW(read_csv("/dev/zero"), InputError);
  const std::string path = ::testing::TempDir() + "huge.csv";
  std::ofstream(path) << "a,b\n";
  EXPECT_THROW(read_text(path, 3), InputError);
  EXPECT_EQ(read_text(path), "a,b\n");
  std::remove(path.c_str());
}

}  // namespace
}  // namespace traincost::measure
