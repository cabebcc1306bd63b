#include <traincost/cost/stack.hpp>

#include <array>
#include <charconv>
#include <string>

namespace traincost::cost {
namespace {

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// The last "20xx" in the text, or the later year of "2023-24".
int parse_year(std::string_view text, int otherwise) {
  int year = otherwise;
  for (std::size_t i = 0; i + 4 <= text.size(); ++i) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data() + i, text.data() + i + 4, value);
    if (error != std::errc{} || end != text.data() + i + 4 || value < 2017 || value > 2099) continue;
    year = value;
    int later = 0;
    if (i + 7 <= text.size() && text[i + 4] == '-' &&
        std::from_chars(text.data() + i + 5, text.data() + i + 7, later).ptr == text.data() + i + 7)
      year = 2000 + later;
  }
  return year;
}

// What a framework did when, from its documentation and release notes.
void apply_framework(Stack& s, std::string_view text) {
  const bool is_megatron_core = contains(text, "Megatron-Core") || contains(text, "NeMo");
  const bool has_recipe = contains(text, "NeMo") || contains(text, "Megatron-Bridge");
  const bool is_fsdp = contains(text, "FSDP");
  const bool is_known = !text.empty();
  if (!is_known) return;
  // Transformer Engine brought user-buffer overlap (2023). Megatron-Core uses it where asked (--tp-comm-overlap): the
  // recipes of NeMo and Megatron-Bridge ask, as did the runs that Megatron-Core's README of 2024 lists.
  s.overlaps_tensor_par = has_recipe || (is_megatron_core && s.year <= 2024);
  // Megatron-LM 3 (2022; Korthikanti et al., section 4.2.2).
  s.hides_tensor_grad = is_megatron_core || (contains(text, "Megatron-LM") && s.year >= 2022);
  // Megatron-Core overlaps the reduction of gradients where asked (--overlap-grad-reduce): recipes do, the runs of that
  // README, and the configurations of the Megatron-MoE-ModelZoo (2025).
  s.overlaps_data_par = has_recipe || (is_megatron_core && s.year <= 2025) || is_fsdp || contains(text, "HAI-LLM") ||
                        contains(text, "in-house");
  // BigScience's job scripts (tr11-176B-ml) set CUDA_LAUNCH_BLOCKING.
  s.blocks_launches = contains(text, "Megatron-DeepSpeed") && s.year <= 2022;
  // Composer's FSDPConfig asks for BACKWARD_POST: a gather waits for the gradients of the layer above.
  s.prefetches_backward = !contains(text, "Composer");
  s.overlaps_pipeline = is_megatron_core || contains(text, "HAI-LLM");
  // PyTorch FSDP stacks used FlashAttention 2 kernels; cuDNN and FlashAttention 3 came with Transformer Engine 2024.
  if (!is_megatron_core && !contains(text, "HAI-LLM")) s.attention = Stack::Attention::flash2;
  // Its configurations of those years set attn_impl: triton.
  if (contains(text, "llm-foundry")) s.attention = Stack::Attention::triton;
  if (is_fsdp) s.elementwise = Stack::Elementwise::eager;
  // torch.utils.checkpoint without re-entrance, which FSDP's wrappers use (PyTorch 2.1: set_checkpoint_early_stop).
  s.stops_recompute_early = is_fsdp;
  s.shards_sequence =
      is_megatron_core || (contains(text, "Megatron-LM") && s.year >= 2023) || contains(text, "MegaScale");
  // Megatron-Bridge's recipes (scripts/performance/configs, v0.1 to v0.5): HybridEP, in bf16 (Megatron-LM #3578);
  // moe_a2a_overlap on Hopper and where Blackwell's experts lie on several nodes, never without virtual stages, which
  // Megatron-Core demands of it; CUDA graphs of dense models, of attention and router, and of whole layers with
  // dropping on Blackwell.
  if (contains(text, "Megatron-Bridge")) {
    s.exchange = Stack::Exchange::hybridep;
    s.expert_overlap = Stack::ExpertOverlap::network;
    s.graphs = Stack::Graphs::blackwell;
  }
  if (contains(text, "HAI-LLM")) {
    s.exchange = Stack::Exchange::deepep;
    s.dispatches_fp8 = s.scales_fp8_by_block = true;
  }
}

void apply_features(Stack& s, std::string_view f) {
  if (contains(f, "eager")) s.elementwise = Stack::Elementwise::eager;
  if (contains(f, "compiled")) s.elementwise = Stack::Elementwise::compiled;
  if (contains(f, "fused-cross-entropy")) s.fuses_cross_entropy = true;
  if (contains(f, "deepep")) s.exchange = Stack::Exchange::deepep;
  if (contains(f, "a2a-overlap") || contains(f, "dualpipe")) s.expert_overlap = Stack::ExpertOverlap::always;
  if (contains(f, "parallel-block")) s.has_parallel_block = true;
  if (contains(f, "compute-communication-overlap"))
    s.overlaps_tensor_par = s.overlaps_data_par = s.overlaps_pipeline = true;
  for (const std::string_view key : std::array<std::string_view, 2>{"node-limited-", "device-limited-"})
    if (const auto at = f.find(key); at != std::string_view::npos) {
      const char* begin = f.data() + at + key.size();
      std::from_chars(begin, f.data() + f.size(), s.expert_nodes_limit);
    }
}

// Median over sequence lengths of 1k to 16k, causal.
constexpr double kFlash1OnAmpere = 2.25;  // fwd+bwd on A100, width 128: FlashAttention 2 / 1
constexpr double kFlash2OnHopper = 1.8;   // fwd on H100, width 128: FlashAttention 3 / 2
constexpr double kFlash1ToFlash2 = 1.77;  // fwd+bwd on H100, width 64
constexpr double kTritonToFlash2 = 1.8;   // geometric mean of 1.3 and 2.5 (arXiv 2307.08691, section 4.1)

}  // namespace

double attention_slowdown(Stack::Attention attention, std::string_view arch) {
  const bool is_ampere = arch == "Ampere";
  switch (attention) {
    case Stack::Attention::flash1:
      return is_ampere ? kFlash1OnAmpere : kFlash1ToFlash2 * kFlash2OnHopper;
    case Stack::Attention::triton:
      return kTritonToFlash2 * (is_ampere ? 1 : kFlash2OnHopper);
    case Stack::Attention::flash2:
      return is_ampere ? 1 : kFlash2OnHopper;
    case Stack::Attention::newest:
      break;
  }
  return 1;
}

Stack parse_stack(std::string_view stack, std::string_view features) {
  Stack s;
  s.year = parse_year(stack, s.year);
  apply_framework(s, stack);
  apply_features(s, features);
  return s;
}

}  // namespace traincost::cost
