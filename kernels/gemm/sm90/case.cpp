#include <array>

#include <kernels/grouped_gemm/sm90/fp8_case.hpp>

namespace traincost::kernels {
namespace {

struct Size {
  int m, n, k;
};

// Products of DeepSeek-V3's class (hidden 7168), with the tokens of a micro-batch and of decoding.
constexpr std::array<Size, 10> kSizes{{{4096, 7168, 16384},
                                       {4096, 4096, 7168},
                                       {4096, 7168, 2048},
                                       {4096, 24576, 1536},
                                       {4096, 2112, 7168},
                                       {8192, 7168, 16384},
                                       {8192, 4096, 7168},
                                       {128, 7168, 16384},
                                       {64, 7168, 16384},
                                       {64, 4096, 7168}}};

std::vector<Fp8Problem> problems() {
  std::vector<Fp8Problem> all;
  for (const auto& [m, n, k] : kSizes) {
    std::string label("m=");
    label.append(std::to_string(m)).append(" n=").append(std::to_string(n)).append(" k=").append(std::to_string(k));
    all.push_back({label, 1, m, n, k});
  }
  return all;
}

const bool kIsRegistered = register_case([] { return fp8_case("gemm_fp8", problems()); });

}  // namespace
}  // namespace traincost::kernels
