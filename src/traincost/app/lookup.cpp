#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <numeric>

#include <traincost/app/lookup.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

constexpr std::size_t kSuggestions = 3;

// Levenshtein distance, ignoring case, one row of the table at a time.
std::size_t edits(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const bool is_same =
          std::tolower(static_cast<unsigned char>(a[i])) == std::tolower(static_cast<unsigned char>(b[j]));
      const std::size_t replaced = diagonal + (is_same ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

template <class Thing>
const Thing& named(const std::string& what, const std::string& name, const std::vector<Thing>& all,
                   const Thing* found) {
  if (found != nullptr) return *found;
  std::vector<std::string> ids;
  ids.reserve(all.size());
  for (const auto& thing : all) ids.push_back(thing.id);
  throw InputError(fmt::format("unknown {} '{}'; nearest: {}", what, name.substr(0, 80),
                               fmt::join(nearest(name.substr(0, 80), ids, kSuggestions), ", ")));
}

}  // namespace

std::vector<std::string> nearest(const std::string& name, std::vector<std::string> names, std::size_t count) {
  std::stable_sort(names.begin(), names.end(), [&name](const std::string& a, const std::string& b) {
    // A name that begins like the one asked for is nearer than one of like length.
    const auto rank = [&name](const std::string& id) {
      return edits(name, id.substr(0, name.size())) * 8 + edits(name, id);
    };
    return rank(a) < rank(b);
  });
  names.resize(std::min(count, names.size()));
  return names;
}

const catalog::Chip& chip_named(const std::string& name) {
  return named("chip", name, catalog::chips(), catalog::find_chip(catalog::chips(), name));
}
const catalog::Model& model_named(const std::string& name) {
  return named("model", name, catalog::models(), catalog::find_model(catalog::models(), name));
}
const catalog::Cluster& cluster_named(const std::string& name) {
  return named("cluster", name, catalog::clusters(), catalog::find_cluster(catalog::clusters(), name));
}

}  // namespace traincost::app
