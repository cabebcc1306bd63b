#include <traincost/work/moe.hpp>

#include <kernels/common/case_of.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/moe_models.hpp>
#include <kernels/common/random.hpp>
#include <kernels/moe_index/moe_index.hpp>

namespace traincost::kernels {
namespace {

struct IndexProblem {
  std::string label;
  int slots = 0, num_experts = 0;

  [[nodiscard]] Shape shape() const {
    const work::MoeIndex op{static_cast<double>(slots), static_cast<double>(num_experts)};
    return {label, work::flops(op), work::bytes(op)};
  }
};

std::vector<IndexProblem> problems() {
  std::vector<IndexProblem> all;
  for (const auto& model : moe_models())
    for (const int tokens : token_counts())
      all.push_back({label(model, tokens), tokens * static_cast<int>(model.topk), static_cast<int>(model.num_experts)});
  return all;
}

constexpr int kAlignment = 128;  // the grouped GEMM's tile

class Index {
 public:
  explicit Index(const IndexProblem& problem) : problem_(problem) {
    Random random(1);
    for (int slot = 0; slot < problem.slots; ++slot) host_ids_.push_back(random.below(problem.num_experts));
    ids_ = DeviceBuffer<int>(host_ids_);
    workspace_ = DeviceBuffer<char>(moe_index::workspace_bytes(problem.slots, problem.num_experts));
    counts_ = DeviceBuffer<int>(static_cast<std::size_t>(problem.num_experts));
    offsets_ = DeviceBuffer<int>(static_cast<std::size_t>(problem.num_experts) + 1);
    row_of_slot_ = DeviceBuffer<int>(static_cast<std::size_t>(problem.slots));
    slot_of_row_ = DeviceBuffer<int>(rows());
  }

  void launch(cudaStream_t stream) const {
    moe_index::Params p = params();
    p.ids = ids_.data();
    p.counts = counts_.data();
    p.offsets = offsets_.data();
    p.row_of_slot = row_of_slot_.data();
    p.slot_of_row = slot_of_row_.data();
    p.workspace = workspace_.data();
    moe_index::launch(p, stream);
  }

  [[nodiscard]] Deviation deviation() const {
    std::vector<int> counts(counts_.size()), offsets(offsets_.size()), row_of_slot(row_of_slot_.size()),
        slot_of_row(slot_of_row_.size());
    moe_index::Params p = params();
    p.ids = host_ids_.data();
    p.counts = counts.data();
    p.offsets = offsets.data();
    p.row_of_slot = row_of_slot.data();
    p.slot_of_row = slot_of_row.data();
    moe_index::reference(p);
    return {.is_exact = counts_.to_host() == counts && offsets_.to_host() == offsets &&
                        row_of_slot_.to_host() == row_of_slot && slot_of_row_.to_host() == slot_of_row};
  }

 private:
  [[nodiscard]] moe_index::Params params() const {
    return {.slots = problem_.slots, .num_experts = problem_.num_experts, .alignment = kAlignment};
  }
  [[nodiscard]] std::size_t rows() const {
    return static_cast<std::size_t>(moe_index::row_capacity(problem_.slots, problem_.num_experts, kAlignment));
  }

  IndexProblem problem_;
  std::vector<int> host_ids_;
  DeviceBuffer<int> ids_, counts_, offsets_, row_of_slot_, slot_of_row_;
  DeviceBuffer<char> workspace_;
};

const bool kIsRegistered = register_case([] { return case_of<Index>("moe_index", problems()); });

}  // namespace
}  // namespace traincost::kernels
