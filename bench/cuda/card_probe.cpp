#include <bench/cuda/card_probe.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <utility>

#include <bench/wall_time.hpp>

namespace traincost::bench::cuda {
namespace {

constexpr double kLeastInterval = 100e-6;  // seconds: events resolve half a microsecond
constexpr int kMostLaunches = 200;         // that fit into the queue behind the blocker
constexpr double kRotatedCaches = 2;
constexpr double kMostCopies = 32;

class CardProbe : public Probe {
 public:
  CardProbe(Card& card, std::shared_ptr<Prepared> prepared) : card_(card), prepared_(std::move(prepared)) {}

  std::string mismatch() override { return bench::mismatch(*prepared_); }
  Health health() override { return card_.nvml() != nullptr ? card_.nvml()->health() : Health{}; }
  units::Seconds now() override { return wall_time(); }
  void rest(units::Seconds seconds) override {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds.value));
  }

 protected:
  void launch(std::size_t copy = 0) { prepared_->instances[copy].launch(card_.stream()); }

  Card& card_;
  std::shared_ptr<Prepared> prepared_;
};

class Cold : public CardProbe {
 public:
  using CardProbe::CardProbe;
  Sample sample() override {
    return card_.time([this] { card_.flush_l2(); }, [this] { launch(); });
  }
};

class Hot : public CardProbe {
 public:
  using CardProbe::CardProbe;
  Sample sample() override {
    if (launches_ == 0) launches_ = launches_for(take(1).seconds.value);
    return take(launches_);
  }

 private:
  static int launches_for(double seconds) {
    return static_cast<int>(std::clamp(std::ceil(kLeastInterval / seconds), 2.0, double{kMostLaunches}));
  }
  Sample take(int launches) {
    Sample s = card_.time([this] { launch(); },
                          [&] {
                            for (int i = 0; i < launches; ++i) launch();
                          });
    s.seconds = s.seconds / launches;
    return s;
  }

  int launches_ = 0;
};

class Graph : public CardProbe {
 public:
  using CardProbe::CardProbe;
  ~Graph() override {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
  }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  Sample sample() override {
    if (graph_ == nullptr) capture();
    Sample s = card_.time([] {}, [this] { TRAINCOST_CUDA_CHECK(cudaGraphLaunch(graph_, card_.stream())); });
    s.seconds = s.seconds / static_cast<double>(prepared_->instances.size());
    return s;
  }

 private:
  void capture() {
    add_copies();
    cudaGraph_t captured = nullptr;
    TRAINCOST_CUDA_CHECK(cudaStreamBeginCapture(card_.stream(), cudaStreamCaptureModeThreadLocal));
    for (std::size_t copy = 0; copy < prepared_->instances.size(); ++copy) launch(copy);
    TRAINCOST_CUDA_CHECK(cudaStreamEndCapture(card_.stream(), &captured));
    const auto status = cudaGraphInstantiate(&graph_, captured, 0);
    cudaGraphDestroy(captured);
    TRAINCOST_CUDA_CHECK(status);
    TRAINCOST_CUDA_CHECK(cudaGraphUpload(graph_, card_.stream()));
    TRAINCOST_CUDA_CHECK(cudaStreamSynchronize(card_.stream()));
  }

  void add_copies() {
    const double bytes = std::max(prepared_->kernel_case->shapes[prepared_->shape].bytes.value, 1.0);
    const double copies = std::clamp(std::ceil(kRotatedCaches * card_.l2_bytes() / bytes), 1.0, kMostCopies);
    while (prepared_->instances.size() < static_cast<std::size_t>(copies))
      prepared_->instances.push_back(prepared_->provider->prepare(prepared_->shape));
  }

  cudaGraphExec_t graph_ = nullptr;
};

}  // namespace

std::unique_ptr<Probe> card_probe(Card& card, std::shared_ptr<Prepared> prepared, measure::Mode mode) {
  if (mode == measure::Mode::cold) return std::make_unique<Cold>(card, std::move(prepared));
  if (mode == measure::Mode::hot) return std::make_unique<Hot>(card, std::move(prepared));
  return std::make_unique<Graph>(card, std::move(prepared));
}

}  // namespace traincost::bench::cuda
