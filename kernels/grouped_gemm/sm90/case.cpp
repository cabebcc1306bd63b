#include <kernels/common/moe_models.hpp>
#include <kernels/grouped_gemm/sm90/fp8_case.hpp>

namespace traincost::kernels {
namespace {

// As the bf16 cases: the experts that one GPU holds, and rows of each: few and many.
constexpr int kLocalExperts = 8;
constexpr int kRowsPerExpert[] = {128, 4096};

std::vector<Fp8Problem> problems() {
  std::vector<Fp8Problem> all;
  for (const auto& model : moe_models())
    for (const int rows : kRowsPerExpert) {
      const int hidden = static_cast<int>(model.hidden);
      const int width = static_cast<int>(model.expert_ffn);
      std::string label = model.id;
      label.append(" ").append(std::to_string(kLocalExperts)).append("x").append(std::to_string(rows));
      all.push_back({label + " up and gate", kLocalExperts, rows, 2 * width, hidden});
      all.push_back({label + " down", kLocalExperts, rows, hidden, width});
    }
  return all;
}

const bool kIsRegistered = register_case([] { return fp8_case("grouped_gemm_fp8", problems()); });

}  // namespace
}  // namespace traincost::kernels
