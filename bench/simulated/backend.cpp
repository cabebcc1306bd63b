#include <bench/program/backend.hpp>

#include <bench/wall_time.hpp>
#include <kernels/common/cuda_check.hpp>
#include <ptx/ptx.hpp>

namespace traincost::bench {
namespace {

/// How long the executor takes: says nothing about a card, and its rows are flagged.
class ExecutorProbe : public Probe {
 public:
  explicit ExecutorProbe(std::shared_ptr<Prepared> prepared) : prepared_(std::move(prepared)) {}

  std::string mismatch() override { return bench::mismatch(*prepared_); }
  Health health() override { return {}; }
  units::Seconds now() override { return wall_time(); }
  void rest(units::Seconds) override {}
  Sample sample() override {
    const auto start = wall_time();
    prepared_->instances.front().launch(nullptr);
    TRAINCOST_CUDA_CHECK(cudaDeviceSynchronize());
    return {.seconds = wall_time() - start, .sm_clock_hz = {}};
  }

 private:
  std::shared_ptr<Prepared> prepared_;
};

class ExecutorBackend : public Backend {
 public:
  ExecutorBackend() {
    ptx::Options options;
    options.counters = false;
    ptx::set_options(options);
    kernels::use_tiny_sizes();
  }

  std::string device_name() override { return "a100-sxm4-80gb"; }  // whose limits the executor has
  int compute_capability() override { return 80; }
  Context context() override { return {{"simulated", "true"}}; }
  std::vector<measure::Mode> modes() override {
    return {measure::Mode::cold, measure::Mode::hot, measure::Mode::graph};
  }
  std::string why_no_mode(measure::Mode mode) override {
    if (mode == measure::Mode::hot) return "";
    return mode == measure::Mode::cold ? "its blocking kernel spins for the host, which the executor cannot run"
                                       : "the executor has no CUDA graphs";
  }
  std::unique_ptr<Probe> probe(std::shared_ptr<Prepared> prepared, measure::Mode) override {
    return std::make_unique<ExecutorProbe>(std::move(prepared));
  }
};

}  // namespace

std::unique_ptr<Backend> make_backend() { return std::make_unique<ExecutorBackend>(); }

}  // namespace traincost::bench
