#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include <traincost/catalog/text_file.hpp>
#include <traincost/catalog/toml_table.hpp>
#include <traincost/units/error.hpp>

namespace traincost::catalog {
namespace {

template <class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const InputError& error) {
    return error.what();
  }
  return "nothing thrown";
}

std::string refusal(const std::string& text) {
  return message_of([&] {
    TomlTable table(text, "my.toml");
    table.required_text("id");
    table.required_figure("size");
    table.positive_figure("rate");
    table.flag("is_big");
    table.texts("names");
    table.choice("kind", {"a", "b"}, "a");
    table.finish();
  });
}

TEST(TomlTable, ReadsEveryKind) {
  TomlTable table(
      "id = \"x\"\nsize = 80e9\ncount = 3\nis_big = true\nnames = [\"p\", \"q\"]\n[[row]]\nn = 1\n[[row]]\nn = 2\n",
      "my.toml");
  EXPECT_EQ(table.required_text("id"), "x");
  EXPECT_EQ(table.figure("size"), 80e9);
  EXPECT_EQ(table.required_figure("count"), 3);
  EXPECT_EQ(table.flag("is_big", false), true);
  EXPECT_EQ(table.texts("names"), (std::vector<std::string>{"p", "q"}));
  EXPECT_EQ(table.figure("absent"), std::nullopt);
  EXPECT_EQ(table.figure("absent", 7), 7);
  EXPECT_EQ(table.text("absent"), "");
  EXPECT_EQ(table.choice("absent", {"a", "b"}, "b"), "b");
  auto rows = table.tables("row");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1].required_figure("n"), 2);
  table.finish();
}

TEST(TomlTable, NamesFileLineKeyValueAndWhatWasExpected) {
  EXPECT_EQ(refusal("id = \"x\"\nsize = -1\n"), "my.toml:2: size = -1: expected a finite number that is not negative");
  EXPECT_EQ(refusal("id = \"x\"\nsize = nan\n"),
            "my.toml:2: size = nan: expected a finite number that is not negative");
  EXPECT_EQ(refusal("id = \"x\"\nsize = inf\n"),
            "my.toml:2: size = inf: expected a finite number that is not negative");
  EXPECT_EQ(refusal("id = \"x\"\nsize = \"3\"\n"),
            "my.toml:2: size = \"3\": expected a finite number that is not negative");
  EXPECT_EQ(refusal("id = \"x\"\n"), "my.toml: size is missing: expected a number");
  EXPECT_EQ(refusal("size = 1\n"), "my.toml: id is missing: expected a string that is not empty");
  EXPECT_EQ(refusal("id = 2023-01-01\n"), "my.toml:1: id = 2023-01-01: expected a string in quotes");
  EXPECT_EQ(refusal("id = \"x\"\nsize = 1\nsise = 2\n"), "my.toml:3: sise = 2: unknown key");
  EXPECT_EQ(refusal("id = \"x\"\nsize = 1\n[table]\nk = 2\n"), "my.toml:3: table = {...}: unknown key");
  EXPECT_EQ(refusal("id = \"x\"\nsize = 1\nis_big = 1\n"), "my.toml:3: is_big = 1: expected true or false");
  EXPECT_EQ(refusal("id = \"x\"\nsize = 1\nnames = [1]\n"), "my.toml:3: names = [ 1 ]: expected a list of strings");
  EXPECT_EQ(refusal("id = \"x\"\nsize = 1\nkind = \"c\"\n"), "my.toml:3: kind = \"c\": expected one of a, b");
  EXPECT_EQ(refusal("id = \"x\"\nsize = 1\nrate = 0\n"),
            "my.toml:3: rate = 0: expected a positive number (leave the key out where it is unknown)");
}

TEST(TomlTable, TruncatedTextGivesItsLine) {
  const std::string message = refusal("id = \"x\"\nsize = 1\nnames = [\"p\",");
  EXPECT_EQ(message.rfind("my.toml:3: not valid TOML: ", 0), 0u) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(TomlTable, GarbageGivesOneLine) {
  for (const std::string& text : {std::string("\0\0\0", 3), std::string("\xff\xfe\xfd"), std::string(5000, '['),
                                  std::string("a = 1\na = 2\n"), std::string("{\"id\": 1}")}) {
    const std::string message = refusal(text);
    EXPECT_EQ(message.rfind("my.toml:", 0), 0u) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 300u) << message;
  }
}

class TextFile : public testing::Test {
 protected:
  const std::filesystem::path path_ = std::filesystem::path(testing::TempDir()) / "traincost_text_file_test.toml";
  void TearDown() override { std::filesystem::remove(path_); }
};

TEST_F(TextFile, ReadsUpToTheLimit) {
  std::ofstream(path_) << "abc";
  EXPECT_EQ(read_text_file(path_, 3), "abc");
  EXPECT_EQ(message_of([&] { read_text_file(path_, 2); }),
            path_.string() + ": longer than 2 bytes, expected a small text file");
}

TEST_F(TextFile, AGigabyteIsRefusedWithoutBeingRead) {
  std::ofstream(path_) << "x";
  std::filesystem::resize_file(path_, 1ull << 30);  // sparse: takes no room
  EXPECT_EQ(message_of([&] { read_text_file(path_); }),
            path_.string() + ": longer than 1048576 bytes, expected a small text file");
}

TEST_F(TextFile, MissingFileAndFolder) {
  EXPECT_EQ(message_of([] { read_text_file("no/such.toml"); }), "no/such.toml: no such file");
  EXPECT_EQ(message_of([] { read_text_file("/"); }), "/: is a folder, expected a file");
}

}  // namespace
}  // namespace traincost::catalog
