#include <bench/cuda/nvml.hpp>

#include <fmt/format.h>

#include <array>
#include <utility>

#include <kernels/vendor/library.hpp>

namespace traincost::bench::cuda {
namespace {

// nvml.h is no part of the runtime toolkit: its C interface in so far as it is used here. 0 is success.
using Device = void*;
using Status = int;
constexpr Status kSuccess = 0;
constexpr int kTemperatureOfGpu = 0;
enum Clock : int { kSmClock = 1, kMemoryClock = 2 };

}  // namespace

struct Nvml::Library {
  kernels::vendor::Library file{"libnvidia-ml.so.1"};
  Status (*init)() = nullptr;
  Status (*shutdown)() = nullptr;
  Status (*device_by_bus)(const char*, Device*) = nullptr;
  Status (*driver_version)(char*, unsigned) = nullptr;
  Status (*temperature)(Device, int, unsigned*) = nullptr;
  Status (*power)(Device, unsigned*) = nullptr;
  Status (*power_limit)(Device, unsigned*) = nullptr;
  Status (*max_clock)(Device, int, unsigned*) = nullptr;
  Status (*application_clock)(Device, int, unsigned*) = nullptr;
  Status (*ecc_mode)(Device, unsigned*, unsigned*) = nullptr;
  Status (*mig_mode)(Device, unsigned*, unsigned*) = nullptr;

  void find_all() {
    file.find(init, "nvmlInit_v2");
    file.find(shutdown, "nvmlShutdown");
    file.find(device_by_bus, "nvmlDeviceGetHandleByPciBusId_v2");
    file.find(driver_version, "nvmlSystemGetDriverVersion");
    file.find(temperature, "nvmlDeviceGetTemperature");
    file.find(power, "nvmlDeviceGetPowerUsage");
    file.find(power_limit, "nvmlDeviceGetEnforcedPowerLimit");
    file.find(max_clock, "nvmlDeviceGetMaxClockInfo");
    file.find(application_clock, "nvmlDeviceGetApplicationsClock");
    file.find(ecc_mode, "nvmlDeviceGetEccMode");
    file.find(mig_mode, "nvmlDeviceGetMigMode");
  }
};

std::unique_ptr<Nvml> Nvml::open(const std::string& pci_bus_id) {
  auto library = std::make_unique<Library>();
  if (!library->file.is_there()) return nullptr;
  library->find_all();
  Device device = nullptr;
  if (library->init() != kSuccess || library->device_by_bus(pci_bus_id.c_str(), &device) != kSuccess) return nullptr;
  return std::unique_ptr<Nvml>(new Nvml(std::move(library), device));
}

Nvml::Nvml(std::unique_ptr<Library> library, void* device) : library_(std::move(library)), device_(device) {}
Nvml::~Nvml() { library_->shutdown(); }

Health Nvml::health() const {
  Health out;
  unsigned value = 0;
  if (library_->temperature(device_, kTemperatureOfGpu, &value) == kSuccess) out.temperature_c = value;
  if (library_->power(device_, &value) == kSuccess) out.power_w = value / 1e3;
  return out;
}

Context Nvml::context() const {
  Context out;
  std::array<char, 96> text{};
  unsigned value = 0, pending = 0;
  if (library_->driver_version(text.data(), text.size()) == kSuccess) out["driver"] = text.data();
  if (library_->power_limit(device_, &value) == kSuccess) out["power_cap_w"] = fmt::format("{:.0f}", value / 1e3);
  if (library_->max_clock(device_, kSmClock, &value) == kSuccess) out["max_sm_clock_mhz"] = fmt::format("{}", value);
  if (library_->max_clock(device_, kMemoryClock, &value) == kSuccess)
    out["max_memory_clock_mhz"] = fmt::format("{}", value);
  if (library_->application_clock(device_, kSmClock, &value) == kSuccess)
    out["application_sm_clock_mhz"] = fmt::format("{}", value);
  if (library_->ecc_mode(device_, &value, &pending) == kSuccess) out["ecc"] = value != 0 ? "on" : "off";
  if (library_->mig_mode(device_, &value, &pending) == kSuccess) out["mig"] = value != 0 ? "on" : "off";
  return out;
}

}  // namespace traincost::bench::cuda
