#pragma once

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <traincost/measure/row.hpp>

#include <bench/journal.hpp>
#include <bench/probe.hpp>
#include <kernels/registry.hpp>

/// What the program runs on: a card (bench/cuda), or the PTX executor (bench/simulated) at tiny sizes.
namespace traincost::bench {

/// The buffers of one case, provider and shape, shared by its modes.
struct Prepared {
  const kernels::Case* kernel_case = nullptr;
  const kernels::Provider* provider = nullptr;
  std::size_t shape = 0;
  std::vector<kernels::Instance> instances;  // more than one: the same problem in other memory, for rotation
  std::optional<std::string> mismatch;       // of the first; unset before it was asked
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string device_name() = 0;  // as the driver writes it
  virtual int compute_capability() = 0;   // 90
  virtual Context context() = 0;
  virtual std::vector<measure::Mode> modes() = 0;
  virtual std::string why_no_mode(measure::Mode mode) = 0;  // "" if there is
  virtual std::unique_ptr<Probe> probe(std::shared_ptr<Prepared> prepared, measure::Mode mode) = 0;
};

/// Throws NoDevice with the reason, in one line.
std::unique_ptr<Backend> make_backend();

struct NoDevice : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Launches once and asks how far the answer is off; remembers it.
std::string mismatch(Prepared& prepared);

}  // namespace traincost::bench
