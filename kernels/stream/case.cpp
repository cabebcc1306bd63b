#include <algorithm>

#include <kernels/common/case_of.hpp>
#include <kernels/common/deviation.hpp>
#include <kernels/common/device_buffer.hpp>
#include <kernels/common/random.hpp>
#include <kernels/stream/stream.hpp>

namespace traincost::kernels {
namespace {

struct StreamProblem {
  std::int64_t bytes = 0;  // of one array
  int arrays = 2;

  [[nodiscard]] Shape shape() const {
    const work::Op op = work::Stream{.bytes = static_cast<double>(bytes * arrays)};
    return {"bytes=" + std::to_string(bytes), work::flops(op), work::bytes(op, work::Dtype::bf16), work::Dtype::bf16,
            op};
  }
};

std::vector<StreamProblem> problems(int arrays) {
  if (are_sizes_tiny()) return {{1 << 12, arrays}, {1 << 14, arrays}};
  std::vector<StreamProblem> all;
  for (int log2 = 12; log2 <= 32; log2 += 2) all.push_back({std::int64_t{1} << log2, arrays});
  return all;
}

/// Random bytes, repeated: gigabytes from the host would take longer than all of their timing.
class Pattern {
 public:
  explicit Pattern(std::int64_t bytes, std::uint64_t seed)
      : block_(random_floats(static_cast<std::size_t>(std::min(bytes, kBlockBytes)) / 4, -1, 1, seed)),
        data_(static_cast<std::size_t>(bytes) / 4) {
    for (std::size_t at = 0; at < data_.size(); at += block_.size())
      TRAINCOST_CUDA_CHECK(cudaMemcpy(data_.data() + at, block_.data(), std::min(block_.size(), data_.size() - at) * 4,
                                      cudaMemcpyHostToDevice));
  }
  [[nodiscard]] const float* data() const { return data_.data(); }
  /// The first block's worth of the array; every later one is the same.
  [[nodiscard]] const std::vector<float>& block() const { return block_; }

 private:
  static constexpr std::int64_t kBlockBytes = 16 << 20;
  std::vector<float> block_;
  DeviceBuffer<float> data_;
};

/// The first and the last block's worth of an output.
std::vector<std::vector<float>> ends(const DeviceBuffer<float>& output, std::size_t count) {
  std::vector<std::vector<float>> out;
  for (const std::size_t at : {std::size_t{0}, output.size() - count}) {
    out.emplace_back(count);
    TRAINCOST_CUDA_CHECK(cudaMemcpy(out.back().data(), output.data() + at, count * 4, cudaMemcpyDeviceToHost));
  }
  return out;
}

class Copy {
 public:
  explicit Copy(const StreamProblem& p) : bytes_(p.bytes), x_(p.bytes, 1), y_(static_cast<std::size_t>(p.bytes) / 4) {
    y_.fill_bytes(0xff);
  }
  void launch(cudaStream_t stream) const { stream::launch({bytes_, x_.data(), y_.data()}, stream); }
  [[nodiscard]] Deviation deviation() const {
    for (const auto& end : ends(y_, x_.block().size()))
      if (end != x_.block()) return {.is_exact = false};
    return {};
  }

 protected:
  std::int64_t bytes_;
  Pattern x_;
  DeviceBuffer<float> y_;
};

class Memcpy : public Copy {
 public:
  using Copy::Copy;
  void launch(cudaStream_t stream) const {
    TRAINCOST_CUDA_CHECK(
        cudaMemcpyAsync(y_.data(), x_.data(), static_cast<std::size_t>(bytes_), cudaMemcpyDeviceToDevice, stream));
  }
};

class Triad {
 public:
  explicit Triad(const StreamProblem& p) : b_(p.bytes, 1), c_(p.bytes, 2), a_(static_cast<std::size_t>(p.bytes) / 4) {
    a_.fill_bytes(0xff);
  }
  void launch(cudaStream_t stream) const {
    stream::launch({static_cast<std::int64_t>(a_.size()), kScale, b_.data(), c_.data(), a_.data()}, stream);
  }
  [[nodiscard]] Deviation deviation() const {
    std::vector<float> want(b_.block().size());
    stream::reference(stream::TriadParams{static_cast<std::int64_t>(want.size()), kScale, b_.block().data(),
                                          c_.block().data(), want.data()});
    for (const auto& end : ends(a_, want.size()))
      if (end != want) return {.is_exact = false};
    return {};
  }

 private:
  static constexpr float kScale = 0.4F;
  Pattern b_, c_;
  DeviceBuffer<float> a_;
};

struct LaunchProblem {
  int blocks = 1;

  [[nodiscard]] Shape shape() const {
    return {"blocks=" + std::to_string(blocks), units::Flops{}, units::Bytes{4.0 * blocks}};
  }
};

std::vector<LaunchProblem> launches() {
  std::vector<LaunchProblem> all;
  for (int log2 = 0; log2 <= (are_sizes_tiny() ? 2 : 18); log2 += 2) all.push_back({1 << log2});
  return all;
}

class Launch {
 public:
  explicit Launch(const LaunchProblem& p) : mark_(static_cast<std::size_t>(p.blocks)) { mark_.fill_bytes(0xff); }
  void launch(cudaStream_t stream) const { stream::launch(params(mark_.data()), stream); }
  [[nodiscard]] Deviation deviation() const {
    std::vector<int> want(mark_.size());
    stream::reference(params(want.data()));
    return {.is_exact = mark_.to_host() == want};
  }

 private:
  [[nodiscard]] stream::LaunchParams params(int* mark) const { return {static_cast<int>(mark_.size()), mark}; }
  DeviceBuffer<int> mark_;
};

Case make_copy() {
  const auto all = problems(2);
  Case c = case_of<Copy>("copy", all);
  c.providers.push_back(provider<Memcpy>("cuda_memcpy", 80, all));
  return c;
}

const bool kIsCopyRegistered = register_case(make_copy);
const bool kIsTriadRegistered = register_case([] { return case_of<Triad>("triad", problems(3)); });
const bool kIsLaunchRegistered = register_case([] { return case_of<Launch>("launch", launches()); });

}  // namespace
}  // namespace traincost::kernels
