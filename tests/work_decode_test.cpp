#include <gtest/gtest.h>

#include <traincost/work/decode.hpp>

namespace traincost::work {
namespace {

constexpr KvCache kMla{.d_k = 512, .d_rope = 64};
constexpr KvCache kMlaFp8{.d_k = 512, .d_rope = 64, .dtype = Dtype::fp8_block};
constexpr KvCache kMha{.h_kv = 128, .d_k = 128, .d_v = 128};
constexpr KvCache kGqa{.h_kv = 8, .d_k = 128, .d_v = 128};

PagedDecode flash_mla(const KvCache& cache) {
  return {.decode = {.b = 128, .s_kv = 4096, .h_q = 128, .h_kv = 1, .d_qk = 576, .d_v = 512, .values_in_keys = true},
          .cache = cache};
}

TEST(WorkDecode, BytesOfATokenAreThoseOfTheFormats) {
  EXPECT_EQ(bytes_per_token(kMla).value, 1152);
  EXPECT_EQ(bytes_per_token(kMlaFp8).value, 512 + 4 * 4 + 64 * 2);  // 656
  EXPECT_EQ(bytes_per_token(kMha).value, 65536);
  EXPECT_EQ(bytes_per_token(kGqa).value, 4096);
}

// FlashMLA's shape: 146 GFLOP; 640 MB of bf16, 380 MB of fp8 (to the megabyte without table and lse).
TEST(WorkDecode, CountsTheStepOfFlashMla) {
  EXPECT_EQ(flops(flash_mla(kMla)).value, 2.0 * 128 * 128 * 4096 * (576 + 512));
  const double queries_and_out = 128.0 * 128 * (1088 * 2 + 4);
  const double table = 128.0 * 65 * 4;
  EXPECT_EQ(bytes(flash_mla(kMla)).value, 128.0 * 4096 * 1152 + queries_and_out + table);
  EXPECT_EQ(bytes(flash_mla(kMlaFp8)).value, 128.0 * 4096 * 656 + queries_and_out + table);
}

TEST(WorkDecode, PartialResultsAreWrittenAndRead) {
  PagedDecode cut = flash_mla(kMla);
  cut.partial_results = 100;
  EXPECT_EQ(partial_bytes(cut).value, 2.0 * 100 * 128 * 513 * 4);
  EXPECT_EQ((bytes(cut) - bytes(flash_mla(kMla))).value, partial_bytes(cut).value);
  EXPECT_EQ(partial_bytes(flash_mla(kMla)).value, 0);
}

TEST(WorkDecode, AppendReadsBf16AndWritesTheCache) {
  EXPECT_EQ(bytes(CacheAppend{.tokens = 10, .cache = kMla}).value, 10.0 * (1152 + 1152 + 4));
  EXPECT_EQ(bytes(CacheAppend{.tokens = 10, .cache = kMlaFp8}).value, 10.0 * (1152 + 656 + 4));
}

TEST(WorkDecode, RopeReadsAndWritesEachElementAndATableRow) {
  EXPECT_EQ(bytes(Rope{.tokens = 3, .heads = 128, .dim = 64}).value, 3.0 * (2 * 128 * 64 * 2 + 64 * 4 + 4));
  EXPECT_EQ(flops(Rope{.tokens = 3, .heads = 128, .dim = 64}).value, 3.0 * 128 * 32 * 6);
}

}  // namespace
}  // namespace traincost::work
