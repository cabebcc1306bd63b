#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "machine.hpp"

// What lives between launches: the modules of the program, their kernels and variables, the options and the counters.
namespace ptx {

class LoadedModule {
 public:
  explicit LoadedModule(std::string text) : text_(std::move(text)) {}

  [[nodiscard]] const Program& program(const std::string& kernel);  // parsed and loaded when first asked for
  [[nodiscard]] std::uint64_t address(const std::string& variable);
  /// Written for compute capability 9.0.
  [[nodiscard]] bool is_for_hopper() const { return text_.find(".target sm_90") != std::string::npos; }
  [[nodiscard]] bool has_dependents() const { return text_.find("griddepcontrol.") != std::string::npos; }

 private:
  void parse_once();

  std::string text_;
  std::unique_ptr<Module> module_;
  std::unordered_map<std::string, std::unique_ptr<Program>> programs_;
  std::unordered_map<std::string, std::uint64_t> addresses_;
};

/// A kernel as the host knows it: the address of its host function.
struct Kernel {
  LoadedModule* module = nullptr;
  std::string name;
  std::size_t max_dynamic_shared = 0;  // as set by cudaFuncSetAttribute; 0: the default limit
};

struct LaunchShape {
  Dim grid, block;
  std::optional<Dim> cluster{};  // none: as the kernel says
  std::size_t dynamic_shared = 0;
  bool dependent = false;  // may start before the launch before it has ended
};

struct Session {
  Options options;
  Counters counters;
  std::string fault;       // of the last launch that failed
  std::string last_fault;  // the text behind cudaGetErrorString
  std::vector<std::unique_ptr<LoadedModule>> modules;
  std::map<const void*, Kernel> kernels;
  std::map<const void*, std::pair<LoadedModule*, std::string>> variables;  // host address of a __device__ variable
};
Session& session();

/// Throws KernelFault or PtxError. `arguments[i]` points to the i-th argument.
void launch(const Program& program, const LaunchShape& shape, void* const* arguments);

/// The PTX text in the image that nvcc embeds; throws PtxError when there is none or it is compressed.
[[nodiscard]] std::string ptx_of(const void* fat_binary);

}  // namespace ptx
