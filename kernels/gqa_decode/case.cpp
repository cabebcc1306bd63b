#include <utility>

#include <kernels/common/decode_case.hpp>
#include <kernels/common/device.hpp>
#include <kernels/gqa_decode/gqa_decode.hpp>
#ifdef TRAINCOST_HAS_CUBLAS
#include <kernels/naive_decode/cublas.hpp>
#include <kernels/vendor/cublas.hpp>
#endif
#ifdef TRAINCOST_HAS_CUDNN
#include <kernels/gqa_decode/cudnn.hpp>
#include <kernels/vendor/cudnn.hpp>
#endif

namespace traincost::kernels {
namespace {

using namespace gqa_decode;

constexpr float kSmScale = 0.0883883476F;  // 1 / sqrt(128)

struct GqaProblem {
  DecodeSize size;

  [[nodiscard]] Shape shape() const {
    return decode_shape(size, {.d_qk = kHeadDim, .d_v = kHeadDim},
                        {.h_kv = static_cast<double>(size.h_kv), .d_k = kHeadDim, .d_v = kHeadDim},
                        num_parts(size.s_q, size.h_q, size.h_kv, kCountedSms));
  }
};

/// 128 heads as DeepSeek-V3 has them, with a cache of 128, 8 and 1 heads, and Llama-3-70B's 64 over 8; two tokens at
/// once.
std::vector<GqaProblem> problems() {
  if (are_sizes_tiny()) return {{{1, 1, 128, 8, 2}}, {{1, 2, 128, 8, 2}}};
  std::vector<GqaProblem> all;
  for (const auto& [h_q, h_kv] : {std::pair{128, 128}, {128, 8}, {128, 1}, {64, 8}})
    for (const auto& [b, s_kv] : {std::pair{1, 1024}, {1, 4096}, {32, 4096}, {128, 4096}, {1, 131072}})
      if (h_kv < 128 || b < 128) all.push_back({{b, 1, s_kv, h_q, h_kv}});  // 34 GB: beside nothing else
  all.push_back({{128, 2, 4096, 64, 8}});
  return all;
}

class Buffers {
 public:
  explicit Buffers(const GqaProblem& p)
      : size_(p.size),
        rows_(static_cast<std::size_t>(size_.s_q) * size_.h_q),
        host_q_(random_bf16(rows_ * size_.b * kHeadDim, -1, 1, 1)),
        host_k_(random_bf16(cache_elements(), -1, 1, 2)),
        host_v_(random_bf16(cache_elements(), -1, 1, 3)),
        host_table_(pages_in_order(size_)),
        q_(host_q_),
        k_(repeated(host_k_, size_.b)),
        v_(repeated(host_v_, size_.b)),
        table_(host_table_),
        out_(host_q_.size()),
        lse_(rows_ * size_.b) {}

  /// The first sequence.
  [[nodiscard]] Deviation deviation() const {
    std::vector<__nv_bfloat16> out(rows_ * kHeadDim);
    std::vector<float> lse(rows_);
    Params p = shared_params();
    p.b = 1;
    p.q = host_q_.data();
    p.k_cache = host_k_.data();
    p.v_cache = host_v_.data();
    p.block_table = host_table_.data();
    p.lengths = &size_.s_kv;
    p.out = out.data();
    p.lse = lse.data();
    reference(p);
    return worse(first_deviation(out_, out), first_deviation(lse_, lse));
  }

 protected:
  [[nodiscard]] std::size_t cache_elements() const {
    return static_cast<std::size_t>(pages_per_sequence(size_)) * split_kv::kPageTokens * size_.h_kv * kHeadDim;
  }
  [[nodiscard]] Params shared_params() const {
    Params p;
    p.b = size_.b;
    p.s_q = size_.s_q;
    p.h_q = size_.h_q;
    p.h_kv = size_.h_kv;
    p.max_pages = pages_per_sequence(size_);
    p.sm_scale = kSmScale;
    return p;
  }
  [[nodiscard]] Params device_params() const {
    Params p = shared_params();
    p.q = q_.data();
    p.k_cache = k_.data();
    p.v_cache = v_.data();
    p.block_table = table_.data();
    p.out = out_.data();
    p.lse = lse_.data();
    return p;
  }

  DecodeSize size_;
  std::size_t rows_;                                     // of a sequence
  std::vector<__nv_bfloat16> host_q_, host_k_, host_v_;  // the cache of each sequence
  std::vector<int> host_table_;
  DeviceBuffer<__nv_bfloat16> q_, k_, v_;
  DeviceBuffer<int> table_;
  DeviceBuffer<__nv_bfloat16> out_;
  DeviceBuffer<float> lse_;
};

class Ours : public Buffers {
 public:
  explicit Ours(const GqaProblem& p)
      : Buffers(p),
        plan_(lengths_of(size_), num_parts(size_.s_q, size_.h_q, size_.h_kv, sm_count()), rows_, kHeadDim) {}

  void launch(cudaStream_t stream) const {
    Params p = device_params();
    plan_.fill(p);
    gqa_decode::launch(p, stream);
  }

 private:
  split_kv::DevicePlan plan_;
};

#ifdef TRAINCOST_HAS_CUBLAS
class Cublas : public Buffers {
 public:
  explicit Cublas(const GqaProblem& p)
      : Buffers(p),
        composition_({.b = size_.b,
                      .s_q = size_.s_q,
                      .h_q = size_.h_q,
                      .h_kv = size_.h_kv,
                      .s_kv = size_.s_kv,
                      .d_qk = kHeadDim,
                      .d_v = kHeadDim,
                      .sm_scale = kSmScale,
                      .row = kHeadDim,
                      .q = q_.data(),
                      .k = k_.data(),
                      .v = v_.data(),
                      .out = out_.data(),
                      .lse = lse_.data()}) {}
  void launch(cudaStream_t stream) const { composition_.launch(stream); }

 private:
  naive_decode::CublasComposition composition_;
};
#endif

#ifdef TRAINCOST_HAS_CUDNN
class Cudnn : public Buffers {
 public:
  explicit Cudnn(const GqaProblem& p) : Buffers(p), lengths_(lengths_of(size_)), graph_(shared_params()) {}
  void launch(cudaStream_t stream) const {
    Params p = device_params();
    p.lengths = lengths_.data();
    graph_.launch(p, stream);
  }

 private:
  DeviceBuffer<int> lengths_;
  CudnnDecode graph_;
};
#endif

Case make() {
  const auto all = problems();
  Case c = case_of<Ours>("gqa_decode", all, kDecodeTolerance);
#ifdef TRAINCOST_HAS_CUBLAS
  c.providers.push_back(library_provider<Cublas>("cublas_composition", 80, all, vendor::why_no_cublas));
#else
  c.providers.push_back(missing_provider("cublas_composition", "this build has no cuBLAS"));
#endif
#ifdef TRAINCOST_HAS_CUDNN
  c.providers.push_back(library_provider<Cudnn>("cudnn", 80, all, vendor::why_no_cudnn));
#else
  c.providers.push_back(missing_provider("cudnn", "this build has no cuDNN"));
#endif
  return c;
}

const bool kIsRegistered = register_case(make);

}  // namespace
}  // namespace traincost::kernels
