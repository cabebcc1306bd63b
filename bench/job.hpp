#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <traincost/measure/row.hpp>
#include <traincost/measure/row_fields.hpp>

#include <bench/probe.hpp>

namespace traincost::bench {

/// One row to be: a case, a provider, a shape and a mode.
struct Job {
  std::string case_name, provider, shape;
  work::Dtype dtype = work::Dtype::bf16;
  measure::Mode mode = measure::Mode::cold;
  std::string code_path;  // which of the provider's kernels: "sm_80 and later", "library"
  units::Flops flops;
  units::Bytes bytes;      // compulsory
  units::Seconds floor;    // max(flops / peak, bytes / memory rate) of the chip
  measure::Fields fields;  // what `traincost calibrate` reads; without "op" the row is kept but not fitted
  units::Bytes buffer{};   // of a collective, for its algorithm bandwidth
  std::string skip;        // why it cannot run here; empty otherwise
  std::function<std::unique_ptr<Probe>()> prepare;
};

std::string_view to_string(measure::Mode mode);

/// "gemm/cublaslt/bf16/llama-3-70b_m=4096_n=8192_k=8192/cold": unique, and the row's name.
std::string key(const Job& job);

/// What one run takes: jobs whose key matches the expression, of each case all shapes or (quick) the cheapest, the
/// middle and the dearest by their floor.
struct Choice {
  std::string filter;  // ECMAScript, searched in the key; empty: all
  bool is_quick = false;
};
std::vector<Job> choose(const std::vector<Job>& jobs, const Choice& choice);  // throws InputError: a bad expression

/// One line a job, with its floor, for people.
std::string listing(const std::vector<Job>& jobs, const std::string& chip);

}  // namespace traincost::bench
