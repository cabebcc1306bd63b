#include <kernels/common/deviation.hpp>
#include <kernels/common/random.hpp>
#include <kernels/naive_decode/naive_decode.hpp>
#include <tests/kernels/schedules.hpp>

namespace traincost::kernels::naive_decode {
namespace {

INSTANTIATE_TEST_SUITE_P(NaiveDecode, Schedules, testing::ValuesIn(ptx::schedules()), schedule_name);

struct SoftmaxShape {
  int b, s_q, h_q, s_kv;
  float range;
};
const std::vector<SoftmaxShape> kShapes = {{1, 1, 1, 1, 3},   {1, 1, 3, 31, 3},    {2, 1, 2, 256, 3},
                                           {1, 4, 2, 257, 3}, {3, 2, 5, 1000, 50}, {1, 1, 8, 700, 1e5},
                                           {1, 4, 1, 4, 3},   {1, 2, 16, 64, 3}};

TEST_P(Schedules, SoftmaxAgreesWithTheReference) {
  for (const SoftmaxShape& s : kShapes) {
    SCOPED_TRACE(testing::Message() << s.b << ' ' << s.s_q << ' ' << s.h_q << ' ' << s.s_kv);
    const std::size_t rows = static_cast<std::size_t>(s.b) * s.s_q * s.h_q;
    const auto x = random_floats(rows * s.s_kv, -s.range, s.range, 1);
    const DeviceBuffer<float> scores(x), lse(rows);
    const DeviceBuffer<__nv_bfloat16> probabilities(x.size());
    SoftmaxParams p{.b = s.b,
                    .s_q = s.s_q,
                    .h_q = s.h_q,
                    .s_kv = s.s_kv,
                    .sm_scale = 0.5F,
                    .scores = scores.data(),
                    .probabilities = probabilities.data(),
                    .lse = lse.data()};
    launch(p, nullptr);
    finish();
    expect_written(probabilities);
    std::vector<__nv_bfloat16> want(x.size());
    std::vector<float> want_lse(rows);
    p.scores = x.data();
    p.probabilities = want.data();
    p.lse = want_lse.data();
    reference(p);
    const Deviation d = deviation(probabilities.to_host(), want);
    EXPECT_LE(d.relative, 0x1p-7);
    EXPECT_LE(d.cosine, 1e-6);
    EXPECT_LE(deviation(lse.to_host(), want_lse).relative, 1e-6);
  }
}

}  // namespace
}  // namespace traincost::kernels::naive_decode
