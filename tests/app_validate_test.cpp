// `traincost validate`: the form of its answer, and that only the configuration of a row decides its prediction.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include <support/program.hpp>
#include <traincost/measure/csv.hpp>

namespace traincost::test {
namespace {

using Json = nlohmann::json;

Json validate(const std::string& option, const std::string& path) {
  const Result result = run("validate " + option + " " + path + " --format json");
  EXPECT_EQ(result.exit_code, 0) << result.err;
  return Json::parse(result.out);
}

std::string published(const std::string& name) { return "results/published/" + name; }
measure::CsvTable table_of(const std::string& name) {
  return measure::read_csv(TRAINCOST_SOURCE_DIR "/results/published/" + name);
}

std::string quoted(const std::string& field) {
  std::string out = "\"";
  for (const char c : field) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

// The table with each of `columns` shifted by one row, so that every row carries another row's words.
std::string scrambled(measure::CsvTable table, const std::vector<std::string>& columns) {
  for (const auto& name : columns) {
    const auto at = measure::column(table, name);
    if (!at) continue;
    std::string carried = table.rows.back()[*at];
    for (auto& row : table.rows) std::swap(carried, row[*at]);
  }
  std::string text;
  const auto write = [&text](const std::vector<std::string>& fields) {
    for (std::size_t i = 0; i < fields.size(); ++i) text += (i > 0 ? "," : std::string()) + quoted(fields[i]);
    text += '\n';
  };
  write(table.header);
  for (const auto& row : table.rows) write(row);
  return text;
}

// What a prediction is: everything but the row's name and what was reported.
std::string predictions(const Json& answer) {
  std::string out;
  for (const auto& row : answer.at("rows"))
    out += Json{row.at("predicted"), row.at("low"), row.at("high"), row.at("assumed"), row.at("skipped")}.dump() + "\n";
  return out;
}

void expect_form(const Json& answer, const measure::CsvTable& table) {
  ASSERT_EQ(answer.at("rows").size(), table.rows.size());
  const std::size_t id = *measure::column(table, "id");
  const std::set<std::string> keys{"id", "predicted", "reported", "unit", "error", "low", "high", "assumed", "skipped"};
  std::size_t skipped = 0;
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const Json& row = answer.at("rows")[i];
    EXPECT_EQ(row.at("id"), table.rows[i][id]);
    std::set<std::string> found;
    for (const auto& [key, value] : row.items()) found.insert(key);
    EXPECT_EQ(found, keys);
    EXPECT_EQ(row.at("predicted").is_null(), row.at("skipped").is_string());
    skipped += row.at("predicted").is_null() ? 1 : 0;
    if (row.at("predicted").is_null()) continue;
    EXPECT_LE(row.at("low").get<double>(), row.at("predicted").get<double>());
    EXPECT_GE(row.at("high").get<double>(), row.at("predicted").get<double>());
    if (row.at("error").is_null()) continue;
    const double reported = row.at("reported").get<double>();
    EXPECT_NEAR(row.at("error").get<double>(), row.at("predicted").get<double>() / reported - 1, 1e-9);
  }
  const Json& summary = answer.at("summary");
  EXPECT_EQ(summary.at("skipped"), skipped);
  for (const char* key : {"n", "median_abs_error", "mape", "bias", "coverage90"})
    EXPECT_TRUE(summary.at(key).is_number());
  EXPECT_TRUE(summary.at("by_family").is_object());
}

TEST(Validate, KernelsAnswerInTheAgreedFormAndExpressFourRowsInFive) {
  const auto table = table_of("kernels.csv");
  const Json answer = validate("--kernels", published("kernels.csv"));
  expect_form(answer, table);
  EXPECT_LE(answer.at("summary").at("skipped").get<double>(), 0.2 * static_cast<double>(table.rows.size()));
}

TEST(Validate, RunsAnswerInTheAgreedFormAndExpressNineRowsInTen) {
  const auto table = table_of("runs.csv");
  const Json answer = validate("--runs", published("runs.csv"));
  expect_form(answer, table);
  EXPECT_LE(answer.at("summary").at("skipped").get<double>(), 0.1 * static_cast<double>(table.rows.size()));
}

TEST(Validate, NothingButTheConfigurationOfAKernelDecides) {
  const auto text = scrambled(table_of("kernels.csv"), {"value", "note", "confirmed", "source_path", "id"});
  const Json answer = validate("--kernels", scratch_file("scrambled_kernels.csv", text));
  EXPECT_EQ(predictions(answer), predictions(validate("--kernels", published("kernels.csv"))));
}

TEST(Validate, NothingButTheConfigurationOfARunDecides) {
  const auto text =
      scrambled(table_of("runs.csv"), {"reported_value", "seconds_per_iteration_derived", "mfu_bf16_est",
                                       "flop_convention", "notes", "unknowable", "weight", "id", "source"});
  const Json answer = validate("--runs", scratch_file("scrambled_runs.csv", text));
  EXPECT_EQ(predictions(answer), predictions(validate("--runs", published("runs.csv"))));
}

TEST(Validate, ExtraColumnsAndAnUnknownChipDoNoHarm) {
  const std::string text =
      "id,extra,op_family,metric,unit,m,n,k,dtype,chip,value\n"
      "a,x,gemm_dense_bf16,latency,us,4096,4096,4096,bf16,h100-sxm5-80gb,200\n"
      "b,x,gemm_dense_bf16,latency,us,4096,4096,4096,bf16,no-such-chip,200\n";
  const Json rows = validate("--kernels", scratch_file("extra.csv", text)).at("rows");
  EXPECT_GT(rows[0].at("predicted").get<double>(), 2 * 4096.0 * 4096 * 4096 / 989.5e12 * 1e6);
  EXPECT_TRUE(rows[1].at("predicted").is_null());
  EXPECT_NE(rows[1].at("skipped").get<std::string>().find("no-such-chip"), std::string::npos);
}

}  // namespace
}  // namespace traincost::test
