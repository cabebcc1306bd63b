#pragma once

#include <memory>
#include <string>

#include <bench/journal.hpp>
#include <bench/probe.hpp>

namespace traincost::bench::cuda {

/// The driver's management library, by dlopen: a figure that it does not give is left out. Reads only; it changes no
/// setting of the card.
class Nvml {
 public:
  /// "0000:1B:00.0"; nullptr when there is no library or no such card.
  static std::unique_ptr<Nvml> open(const std::string& pci_bus_id);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  [[nodiscard]] Health health() const;
  /// Driver, clocks, power cap, ECC, MIG.
  [[nodiscard]] Context context() const;

 private:
  struct Library;
  Nvml(std::unique_ptr<Library> library, void* device);
  std::unique_ptr<Library> library_;
  void* device_;
};

}  // namespace traincost::bench::cuda
