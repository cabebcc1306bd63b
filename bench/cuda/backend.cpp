#include <bench/program/backend.hpp>

#include <fmt/format.h>

#include <bench/cuda/card.hpp>
#include <bench/cuda/card_probe.hpp>

namespace traincost::bench {
namespace {

std::string uuid(const cudaDeviceProp& properties) {
  std::string text;
  for (const char byte : properties.uuid.bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(byte));
  return text;
}

std::string version(int number) { return fmt::format("{}.{}", number / 1000, number % 1000 / 10); }

class CardBackend : public Backend {
 public:
  std::string device_name() override { return card_.properties().name; }
  int compute_capability() override { return 10 * card_.properties().major + card_.properties().minor; }
  std::vector<measure::Mode> modes() override {
    return {measure::Mode::cold, measure::Mode::hot, measure::Mode::graph};
  }
  std::string why_no_mode(measure::Mode) override { return ""; }

  Context context() override {
    Context out = card_.nvml() != nullptr ? card_.nvml()->context() : Context{};
    int runtime = 0, driver = 0;
    TRAINCOST_CUDA_CHECK(cudaRuntimeGetVersion(&runtime));
    TRAINCOST_CUDA_CHECK(cudaDriverGetVersion(&driver));
    out["gpu"] = device_name();
    out["device_uuid"] = uuid(card_.properties());
    out["sm_count"] = fmt::format("{}", card_.properties().multiProcessorCount);
    out["l2_bytes"] = fmt::format("{}", card_.properties().l2CacheSize);
    out["memory_bytes"] = fmt::format("{}", card_.properties().totalGlobalMem);
    out["compute_capability"] = fmt::format("{}", compute_capability());
    out["cuda"] = version(runtime);
    out["cuda_of_driver"] = version(driver);
    return out;
  }

  std::unique_ptr<Probe> probe(std::shared_ptr<Prepared> prepared, measure::Mode mode) override {
    return cuda::card_probe(card_, std::move(prepared), mode);
  }

 private:
  cuda::Card card_;
};

}  // namespace

std::unique_ptr<Backend> make_backend() { return std::make_unique<CardBackend>(); }

}  // namespace traincost::bench
