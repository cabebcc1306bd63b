#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <traincost/cost/search.hpp>
#include <traincost/units/error.hpp>

namespace traincost::cost {
namespace {

using Json = nlohmann::ordered_json;

Json found_json(const std::vector<Found>& all) {
  Json out = Json::array();
  for (const auto& f : all) out.push_back({f.index, f.gpus, f.seconds, f.memory_bytes, f.usd, f.energy_kwh});
  return out;
}

// Half-open ranges of items that are done.
Json ranges(const std::vector<bool>& done) {
  Json out = Json::array();
  for (std::size_t i = 0; i < done.size(); ++i) {
    if (!done[i]) continue;
    std::size_t end = i;
    while (end < done.size() && done[end]) ++end;
    out.push_back({i, end});
    i = end;
  }
  return out;
}

void offer_all(Front& front, const Json& all) {
  for (const auto& f : all)
    front.offer({.index = f.at(0),
                 .gpus = f.at(1),
                 .seconds = f.at(2),
                 .memory_bytes = f.at(3),
                 .usd = f.at(4),
                 .energy_kwh = f.at(5)});
}

}  // namespace

std::string to_json(const SearchState& s) {
  const Json out{{"fingerprint", s.fingerprint},
                 {"items", s.done.size()},
                 {"done", ranges(s.done)},
                 {"evaluated", s.counts.evaluated},
                 {"feasible", s.counts.feasible},
                 {"pruned", s.counts.pruned},
                 {"seconds", s.seconds},
                 {"objective", static_cast<int>(s.front.objective())},
                 {"keep", s.front.keep()},
                 {"front", found_json(s.front.pareto())},
                 {"best", found_json(s.front.best())}};
  return out.dump() + "\n";
}

SearchState search_state_from_json(std::string_view json, const std::string& origin) {
  constexpr std::size_t kMostItems = 100'000'000, kMostKept = 1'000'000;
  try {
    const Json in = Json::parse(json);
    const std::size_t items = in.at("items"), keep = in.at("keep");
    const int objective = in.at("objective");
    if (items > kMostItems || keep > kMostKept || objective < 0 || objective > 2)
      throw InputError(fmt::format("{}: items, keep or objective out of range", origin));
    SearchState s{.fingerprint = in.at("fingerprint"),
                  .done = std::vector<bool>(items),
                  .counts = {.evaluated = in.at("evaluated"), .feasible = in.at("feasible"), .pruned = in.at("pruned")},
                  .seconds = in.at("seconds"),
                  .front = Front(static_cast<Objective>(objective), keep)};
    for (const auto& range : in.at("done"))
      for (std::size_t i = range.at(0), end = range.at(1); i < end; ++i) s.done.at(i) = true;
    offer_all(s.front, in.at("front"));
    offer_all(s.front, in.at("best"));
    return s;
  } catch (const InputError&) {
    throw;
  } catch (const std::exception& error) {
    throw InputError(fmt::format("{}: not the state of a search: {}", origin, error.what()));
  }
}

}  // namespace traincost::cost
