#pragma once

#include <algorithm>
#include <numeric>
#include <string>
#include <vector>

#include <traincost/work/decode.hpp>

#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/random.hpp>
#include <kernels/registry.hpp>
#include <kernels/split_kv/device_plan.hpp>

/// What the cases of the decode kernels share.
namespace traincost::kernels {

struct DecodeSize {
  int b, s_q, s_kv, h_q, h_kv;
};

inline std::string label(const DecodeSize& s) {
  return "b=" + std::to_string(s.b) + " s_q=" + std::to_string(s.s_q) + " s_kv=" + std::to_string(s.s_kv) +
         " h_q=" + std::to_string(s.h_q) + " h_kv=" + std::to_string(s.h_kv);
}

// Partial results depend on the card; a case counts those of an H100, so that its bytes do not depend on where it runs.
constexpr int kCountedSms = 132;

/// Equal lengths: pages of a sequence side by side.
inline std::vector<int> lengths_of(const DecodeSize& s) {
  return std::vector<int>(static_cast<std::size_t>(s.b), s.s_kv);
}
inline int pages_per_sequence(const DecodeSize& s) { return split_kv::pages(s.s_kv); }
inline std::vector<int> pages_in_order(const DecodeSize& s) {
  std::vector<int> table(static_cast<std::size_t>(s.b) * pages_per_sequence(s));
  std::iota(table.begin(), table.end(), 0);
  return table;
}

inline Shape decode_shape(const DecodeSize& s, work::Decode decode, const work::KvCache& cache,
                          int parts_on_counted_sms) {
  decode.b = s.b;
  decode.s_q = s.s_q;
  decode.s_kv = s.s_kv;
  decode.h_q = s.h_q;
  decode.h_kv = s.h_kv;
  const split_kv::HostPlan plan(lengths_of(s), parts_on_counted_sms);
  const work::PagedDecode op{.decode = decode,
                             .cache = cache,
                             .page_tokens = split_kv::kPageTokens,
                             .partial_results = static_cast<double>(plan.slots())};
  decode.kv_dtype = cache.dtype == work::Dtype::fp8_block ? work::Dtype::fp8 : cache.dtype;
  return {label(s), work::flops(op), work::bytes(op), work::Dtype::bf16, decode};
}

/// `times` copies of `host`, one behind the other: sequences of equal contents, each with memory of its own.
template <class T>
DeviceBuffer<T> repeated(const std::vector<T>& host, int times) {
  DeviceBuffer<T> all(host.size() * static_cast<std::size_t>(times));
  for (int i = 0; i < times; ++i)
    TRAINCOST_CUDA_CHECK(cudaMemcpy(all.data() + static_cast<std::size_t>(i) * host.size(), host.data(),
                                    host.size() * sizeof(T), cudaMemcpyHostToDevice));
  return all;
}

// The reference runs on one CPU thread: of one new token, so many heads are compared.
constexpr int kComparedHeads = 8;

/// The first elements of an output against those of the reference.
template <class T>
Deviation first_deviation(const DeviceBuffer<T>& got, const std::vector<T>& want) {
  auto first = got.to_host();
  first.resize(want.size());
  return deviation(first, want);
}

// FlashMLA's own terms for bf16 (its tests/test_flash_mla_dense_decoding.py): 2.01 / 128 and 5e-6. The fp8 cache rounds
// code x scale to bf16 once more, in keys and values alike: twice the relative tolerance.
constexpr Tolerance kDecodeTolerance{.absolute = 1e-4, .relative = 2.01 / 128, .cosine = 5e-6};
constexpr Tolerance kFp8DecodeTolerance{.absolute = 1e-4, .relative = 2.01 / 64, .cosine = 8e-6};

}  // namespace traincost::kernels
