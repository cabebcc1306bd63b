#include <gtest/gtest.h>

#include <algorithm>
#include <cute/atom/mma_traits_sm90_gmma.hpp>
#include <cute/tensor.hpp>

#include "descriptor.hpp"
#include "ptx_text.hpp"

// wgmma against CuTe: CuTe lays the operands out in shared memory, makes the descriptors and says which thread holds
// which element; the product must come out.
namespace ptx::test {
namespace {

using cute::Int;
namespace gmma = cute::SM90::GMMA;
using gmma::Major;

constexpr int kRows = 64;
constexpr std::size_t kOperandBytes = 32'768;

struct Text {
  std::string shape;  // m64n16k16.f32.bf16.bf16
  int columns;
  bool a_in_registers;
  std::string immediates;  // transposes
};

// 128 threads copy the image of shared memory and their fragments of A, then multiply once onto accumulators of 1.
std::string kernel_text(const Text& t) {
  std::string registers, ones, stores;
  for (int i = 0; i < t.columns / 2; ++i) {
    registers += fmt::format("{}f{}", i == 0 ? "" : ",", i);
    ones += fmt::format("mov.f32 f{}, 0f3f800000;\n", i);
    stores += fmt::format("st.global.f32 [to+{}], f{};\n", 4 * i, i);
  }
  return fmt::format(R"(
.version 9.0
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 image, .param .u64 fragments, .param .u64 a, .param .u64 b, .param .u64 out)
{{
  .reg .b32 r<10>; .reg .b32 x<4>; .reg .b64 at, from, to, da, db; .reg .f32 f<128>; .reg .pred p;
  .shared .align 1024 .b8 buf[{}];
  mov.u32 r0, %tid.x;
  ld.param.u64 from, [image]; ld.param.u64 at, [fragments]; ld.param.u64 to, [out];
  ld.param.u64 da, [a]; ld.param.u64 db, [b];
  mad.wide.u32 at, r0, 16, at;
  mad.wide.u32 to, r0, {}, to;
  ld.global.v4.u32 {{x0, x1, x2, x3}}, [at];
  shl.b32 r1, r0, 4;
  mad.wide.u32 from, r0, 16, from;
  mov.u32 r2, buf; add.u32 r2, r2, r1;
  mov.u32 r3, 0;
COPY:
  ld.global.v4.u32 {{r4, r5, r6, r7}}, [from];
  st.shared.v4.u32 [r2], {{r4, r5, r6, r7}};
  add.u64 from, from, 2048; add.u32 r2, r2, 2048; add.u32 r3, r3, 1;
  setp.lt.u32 p, r3, {};
  @p bra COPY;
  fence.proxy.async.shared::cta;
  bar.sync 0;
  {}
  setp.eq.u32 p, r0, r0;
  wgmma.fence.sync.aligned;
  wgmma.mma_async.sync.aligned.{} {{{}}}, {}, db, p, 1, 1{};
  wgmma.commit_group.sync.aligned;
  wgmma.wait_group.sync.aligned 0;
  {}
  ret;
}}
)",
                     2 * kOperandBytes, 2 * t.columns, 2 * kOperandBytes / 2048, ones, t.shape, registers,
                     t.a_in_registers ? "{x0, x1, x2, x3}" : "da", t.immediates, stores);
}

template <class T>
struct Format;
template <>
struct Format<cute::bfloat16_t> {
  static constexpr const char* kTypes = "k16.f32.bf16.bf16";
  static constexpr int kDepth = 16;
  using ALayout = gmma::ALayout_64x16;
};
template <>
struct Format<cute::float_e4m3_t> {
  static constexpr const char* kTypes = "k32.f32.e4m3.e4m3";
  static constexpr int kDepth = 32;
  using ALayout = gmma::ALayout_64x32;
};

float a_value(int row, int k) { return static_cast<float>((row * 5 + k * 3) % 13 - 6); }
float b_value(int column, int k) { return static_cast<float>((column * 7 + k * 11) % 15 - 7); }

/// Writes a [outer, depth] operand into shared memory as CuTe lays it out; the descriptor is of its last block along k.
template <class T, Major kMajor, class Atom, int kOuter>
std::uint64_t place(std::byte* image, std::byte* base, float (*value)(int, int), int& first_k) {
  constexpr int kDepth = Format<T>::kDepth;
  constexpr int kAll = std::max<int>(kMajor == Major::K ? cute::size<1>(Atom{}) : kDepth, 2 * kDepth);
  const auto layout = cute::tile_to_shape(Atom{}, cute::Shape<Int<kOuter>, Int<kAll>>{});
  auto matrix = cute::make_tensor(cute::make_smem_ptr(reinterpret_cast<T*>(base)), layout);
  first_k = kAll - kDepth;
  for (int row = 0; row < kOuter; ++row) {
    for (int k = 0; k < kAll; ++k) matrix(row, k) = static_cast<T>(value(row, k));
  }
  const auto block =
      cute::local_tile(matrix, cute::Shape<Int<kOuter>, Int<kDepth>>{}, cute::make_coord(0, kAll / kDepth - 1));
  testing::internal::CaptureStdout();  // on the host CuTe does not know a shared address, and says so
  cute::GmmaDescriptor made = gmma::make_gmma_desc<kMajor>(block);
  testing::internal::GetCapturedStdout();
  const auto start = reinterpret_cast<const std::byte*>(cute::raw_pointer_cast(block.data())) - image;
  made.bitfield.start_address_ = static_cast<std::uint16_t>(start / 16);
  return static_cast<std::uint64_t>(made);
}

template <class T>
std::vector<std::uint32_t> fragments(int first_k) {
  constexpr int kPer = 4 / sizeof(T);
  std::vector<std::uint32_t> out(std::size_t{128} * 4);
  const typename Format<T>::ALayout layout;
  for (int t = 0; t < 128; ++t) {
    for (int v = 0; v < 4 * kPer; ++v) {
      const int index = static_cast<int>(layout(t, v));
      const T element = static_cast<T>(a_value(index % kRows, first_k + index / kRows));
      const std::size_t at = std::size_t{4} * t * sizeof(out[0]) + v * sizeof(T);
      std::memcpy(reinterpret_cast<std::byte*>(out.data()) + at, &element, sizeof(T));
    }
  }
  return out;
}

void* device(const void* data, std::size_t bytes) {
  void* memory_of = memory().allocate(bytes);
  std::memcpy(memory_of, data, bytes);
  memory().mark(memory_of, bytes, kWritten);
  return memory_of;
}

template <class T, int kColumns, Major kA, class AtomA, Major kB, class AtomB>
void expect_product(bool a_in_registers) {
  alignas(1024) static std::array<std::byte, 2 * kOperandBytes> image;
  image.fill(std::byte{0});
  int first_a = 0;
  int first_b = 0;
  std::uint64_t a = place<T, kA, AtomA, kRows>(image.data(), image.data(), a_value, first_a);
  std::uint64_t b = place<T, kB, AtomB, kColumns>(image.data(), image.data() + kOperandBytes, b_value, first_b);
  std::string immediates;
  if (sizeof(T) == 2) {
    if (!a_in_registers) immediates += kA == Major::MN ? ", 1" : ", 0";
    immediates += kB == Major::MN ? ", 1" : ", 0";
  }
  LoadedModule module(kernel_text({.shape = fmt::format("m64n{}{}", kColumns, Format<T>::kTypes),
                                   .columns = kColumns,
                                   .a_in_registers = a_in_registers,
                                   .immediates = immediates}));
  const auto x = fragments<T>(first_a);
  void* image_at = device(image.data(), image.size());
  void* fragments_at = device(x.data(), x.size() * 4);
  void* out = memory().allocate(std::size_t{kRows} * kColumns * 4);
  std::array<void*, 5> arguments{&image_at, &fragments_at, &a, &b, &out};
  launch(module.program("k"), {.grid = {}, .block = {128, 1, 1}}, arguments.data());
  const auto* d = static_cast<const float*>(out);
  const gmma::CLayout_64xN<kColumns> layout;
  for (int t = 0; t < 128; ++t) {
    for (int v = 0; v < kColumns / 2; ++v) {
      const int index = static_cast<int>(layout(t, v));
      float sum = 1;
      for (int k = 0; k < Format<T>::kDepth; ++k) {
        sum += a_value(index % kRows, first_a + k) * b_value(index / kRows, first_b + k);
      }
      ASSERT_EQ(d[t * kColumns / 2 + v], sum) << "thread " << t << ", value " << v;
    }
  }
  for (void* buffer : {image_at, fragments_at, out}) memory().release(buffer);
}

template <class T, int kColumns, template <class, Major> class Atom, Major kA, Major kB>
void expect_products() {
  SCOPED_TRACE(
      fmt::format("n{}, {} bytes, majors {} {}", kColumns, sizeof(T), static_cast<int>(kA), static_cast<int>(kB)));
  expect_product<T, kColumns, kA, Atom<T, kA>, kB, Atom<T, kB>>(false);
  expect_product<T, kColumns, kA, Atom<T, kA>, kB, Atom<T, kB>>(true);
}

template <class T, Major kMajor>
using Inter = gmma::Layout_INTER_Atom<T, kMajor>;
template <class T, Major kMajor>
using Sw32 = gmma::Layout_SW32_Atom<T, kMajor>;
template <class T, Major kMajor>
using Sw64 = gmma::Layout_SW64_Atom<T, kMajor>;
template <class T, Major kMajor>
using Sw128 = gmma::Layout_SW128_Atom<T, kMajor>;

template <template <class, Major> class Atom>
void expect_bf16() {
  expect_products<cute::bfloat16_t, 64, Atom, Major::K, Major::K>();
  expect_products<cute::bfloat16_t, 64, Atom, Major::K, Major::MN>();
  expect_products<cute::bfloat16_t, 64, Atom, Major::MN, Major::K>();
  expect_products<cute::bfloat16_t, 128, Atom, Major::MN, Major::MN>();
}

TEST(CuteWgmma, Bf16WithEverySwizzleAndMajor) {
  expect_bf16<Inter>();
  expect_bf16<Sw32>();
  expect_bf16<Sw64>();
  expect_bf16<Sw128>();
}

TEST(CuteWgmma, E4m3WithEverySwizzle) {
  expect_products<cute::float_e4m3_t, 64, Inter, Major::K, Major::K>();
  expect_products<cute::float_e4m3_t, 96, Sw32, Major::K, Major::K>();
  expect_products<cute::float_e4m3_t, 64, Sw64, Major::K, Major::K>();
  expect_products<cute::float_e4m3_t, 128, Sw128, Major::K, Major::K>();
}

TEST(CuteWgmma, Widths) {
  expect_products<cute::bfloat16_t, 8, Sw128, Major::K, Major::K>();
  expect_products<cute::bfloat16_t, 192, Sw128, Major::K, Major::MN>();
  expect_products<cute::bfloat16_t, 256, Sw128, Major::K, Major::K>();
  expect_products<cute::float_e4m3_t, 24, Sw128, Major::K, Major::K>();
  expect_products<cute::float_e4m3_t, 192, Sw128, Major::K, Major::K>();
}

TEST(CuteWgmma, Swizzles) {
  const auto same = [](auto swizzle, std::uint32_t span) {
    for (std::uint32_t at = 0; at < 4096; ++at) ASSERT_EQ(swizzled(at, span), swizzle(at));
  };
  same(cute::Swizzle<0, 4, 3>{}, 0);
  same(cute::Swizzle<1, 4, 3>{}, 32);
  same(cute::Swizzle<2, 4, 3>{}, 64);
  same(cute::Swizzle<3, 4, 3>{}, 128);
}

}  // namespace
}  // namespace ptx::test
