#include <gtest/gtest.h>

#include <cute/atom/copy_traits_sm75.hpp>
#include <cute/atom/mma_traits_sm80.hpp>
#include <cute/atom/mma_traits_sm89.hpp>
#include <cute/tensor.hpp>

#include "fragment_layouts.hpp"
#include "ptx_text.hpp"

// The layouts that the other tests use, against the CuTe headers themselves.
namespace ptx::test {
namespace {

template <class CuteLayout>
void expect_same(const Layout& ours, CuteLayout cute_layout) {
  ASSERT_EQ(cute::size<0>(cute_layout), 32);
  ASSERT_EQ(static_cast<std::size_t>(cute::size<1>(cute_layout)), ours.values());
  for (int t = 0; t < 32; ++t) {
    for (int v = 0; v < static_cast<int>(ours.values()); ++v) {
      EXPECT_EQ(static_cast<std::size_t>(cute_layout(t, v)),
                ours(static_cast<std::size_t>(t), static_cast<std::size_t>(v)));
    }
  }
}

template <class Atom>
void expect_same(const Fragments& ours) {
  using Traits = cute::MMA_Traits<Atom>;
  expect_same(ours.a, typename Traits::ALayout{});
  expect_same(ours.b, typename Traits::BLayout{});
  expect_same(ours.c, typename Traits::CLayout{});
}

TEST(Cute, FragmentLayouts) {
  expect_same<cute::SM80_16x8x16_F32BF16BF16F32_TN>(kM16N8K16);
  expect_same<cute::SM80_16x8x8_F32BF16BF16F32_TN>(kM16N8K8);
  expect_same<cute::SM80_16x8x16_F32F16F16F32_TN>(kM16N8K16);
  expect_same<cute::SM80_16x8x8_F32F16F16F32_TN>(kM16N8K8);
  expect_same<cute::SM89_16x8x32_F32E4M3E4M3F32_TN>(kM16N8K32);
  expect_same<cute::SM89_16x8x32_F32E4M3E5M2F32_TN>(kM16N8K32);
  expect_same<cute::SM89_16x8x32_F32E5M2E4M3F32_TN>(kM16N8K32);
}

/// ldmatrix of 512 bytes whose 16-bit elements hold their own number; CuTe's layouts count bits.
template <class Atom>
void expect_ldmatrix(const std::string& modifier) {
  using Traits = cute::Copy_Traits<Atom>;
  const auto source = typename Traits::SrcLayout{};
  const auto target = typename Traits::DstLayout{};
  const std::string fill = R"(
    mov.u32 r4, buf; mad.lo.u32 r5, r2, 16, r4; shl.b32 r6, r2, 3;
    shl.b32 r7, r6, 16; or.b32 r7, r7, r6; add.u32 r7, r7, 0x10000;
    add.u32 r8, r7, 0x20002; add.u32 r10, r8, 0x20002; add.u32 r11, r10, 0x20002;
    st.shared.v4.b32 [r5], {r7, r8, r10, r11};
    bar.sync 0;
  )";
  Inputs in(32);
  for (std::size_t t = 0; t < 32; ++t) {
    in[t] = {0, t, 0};
    ASSERT_EQ(source(static_cast<int>(t), 0), static_cast<int>(t) * 128) << "a lane's address is that of its own row";
  }
  for (std::size_t r = 0; r < 4; ++r) {
    const auto out =
        run_text({.body = fill + fmt::format("ldmatrix.sync.aligned.m8n8.x4{}.shared.b16 {{r12, r13, r14, r15}}, [r5];"
                                             "mov.b32 r9, r{};",
                                             modifier, 12 + r),
                  .shared = 512},
                 in);
    for (std::size_t t = 0; t < 32; ++t) {
      for (std::size_t e = 0; e < 2; ++e) {
        const int bit = target(static_cast<int>(t), static_cast<int>(32 * r + 16 * e));
        EXPECT_EQ(out[t] >> (16 * e) & 0xffff, static_cast<std::uint64_t>(bit / 16)) << t << " " << r << " " << e;
      }
    }
  }
}

TEST(Cute, Ldmatrix) {
  expect_ldmatrix<cute::SM75_U32x4_LDSM_N>("");
  expect_ldmatrix<cute::SM75_U16x8_LDSM_T>(".trans");
}

}  // namespace
}  // namespace ptx::test
