#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <traincost/units/quantity.hpp>
#include <traincost/work/op.hpp>

/// What can be timed: each case registers itself with its shapes, its providers and how far an answer may be off.
namespace traincost::kernels {

struct Shape {
  std::string label;  // "deepseek-v3 tokens=4096"
  units::Flops flops;
  units::Bytes bytes;  // compulsory
  work::Dtype dtype = work::Dtype::bf16;
  std::optional<work::Op> op = {};  // the operation of the cost model that this is, if it is one
};

/// How far outputs are from the reference, over all that was compared.
struct Deviation {
  double absolute = 0, relative = 0;
  double cosine = 0;     // 1 - 2 <x, y> / (<x, x> + <y, y>)
  bool is_exact = true;  // where bits must agree: ids, counts, maps
};

struct Tolerance {
  double absolute = 0, relative = 0, cosine = 0;
};

/// Buffers filled and ready: launch any number of times, then ask how far the outputs are off.
struct Instance {
  std::function<void(cudaStream_t)> launch;
  std::function<Deviation()> deviation;
};

/// One implementation of a case: ours, cuBLAS, ...
struct Provider {
  std::string name;
  int min_compute_capability = 80;
  std::function<Instance(std::size_t shape)> prepare;  // by index into the case's shapes
  std::string code_path = "sm_80 and later";           // which of its kernels
  std::function<std::string()> why_not = {};           // why it cannot run here at all; "" if it can
  bool is_one_architecture = false;                    // sm_90a: later cards do not run it
};

struct Case {
  std::string name;
  std::vector<Shape> shapes;
  std::vector<Provider> providers;
  Tolerance tolerance;
};

const std::vector<Case>& cases();

/// For a static initialiser in case.cpp: `const bool is_registered = register_case(make);`. The case is made when
/// cases() is first called, after the catalogue can be read.
bool register_case(std::function<Case()> make);

/// Sizes that the PTX executor runs in a moment, in place of the catalogue's; before cases() is first called.
void use_tiny_sizes();
bool are_sizes_tiny();

/// Exact where bits must agree, close in direction, and within `absolute` or `relative`.
bool is_within(const Deviation& deviation, const Tolerance& tolerance);

}  // namespace traincost::kernels
