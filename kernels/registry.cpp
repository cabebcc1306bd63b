#include <kernels/registry.hpp>

#include <algorithm>
#include <utility>

namespace traincost::kernels {
namespace {

std::vector<std::function<Case()>>& makers() {
  static std::vector<std::function<Case()>> all;
  return all;
}

std::vector<Case> make_all() {
  std::vector<Case> all;
  for (const auto& make : makers()) all.push_back(make());
  std::ranges::sort(all, {}, &Case::name);
  return all;
}

bool is_tiny = false;

}  // namespace

void use_tiny_sizes() { is_tiny = true; }
bool are_sizes_tiny() { return is_tiny; }

const std::vector<Case>& cases() {
  static const std::vector<Case> all = make_all();
  return all;
}

bool register_case(std::function<Case()> make) {
  makers().push_back(std::move(make));
  return true;
}

bool is_within(const Deviation& d, const Tolerance& t) {
  return d.is_exact && d.cosine <= t.cosine && (d.absolute <= t.absolute || d.relative <= t.relative);
}

}  // namespace traincost::kernels
