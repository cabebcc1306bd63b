#include <traincost/cost/front.hpp>

#include <algorithm>
#include <tuple>

namespace traincost::cost {

double value(const Found& f, Objective objective) {
  switch (objective) {
    case Objective::cost:
      return f.usd;
    case Objective::energy:
      return f.energy_kwh;
    case Objective::time:
      break;
  }
  return f.seconds;
}

// At least as good in everything; of equals, the first of the space.
bool Front::beats(const Found& a, const Found& b) const {
  const auto third = objective_ == Objective::energy ? &Found::energy_kwh : &Found::usd;
  if (a.seconds > b.seconds || a.memory_bytes > b.memory_bytes || a.*third > b.*third) return false;
  const bool is_equal = a.seconds == b.seconds && a.memory_bytes == b.memory_bytes && a.*third == b.*third;
  return !is_equal || a.index <= b.index;
}

void Front::offer_to_pareto(const Found& found) {
  if (last_winner_ < pareto_.size() && beats(pareto_[last_winner_], found)) return;
  const auto winner = std::find_if(pareto_.begin(), pareto_.end(), [&](const Found& f) { return beats(f, found); });
  if (winner != pareto_.end()) {
    last_winner_ = winner - pareto_.begin();
    return;
  }
  std::erase_if(pareto_, [&](const Found& f) { return beats(found, f); });
  last_winner_ = pareto_.size();
  pareto_.push_back(found);
}

void Front::offer_to_best(const Found& found) {
  const auto is_better = [this](const Found& a, const Found& b) {
    return std::tuple(value(a, objective_), a.memory_bytes, a.index) <
           std::tuple(value(b, objective_), b.memory_bytes, b.index);
  };
  if (best_.size() == keep_ && (keep_ == 0 || !is_better(found, best_.back()))) return;
  if (std::any_of(best_.begin(), best_.end(), [&](const Found& f) { return f.index == found.index; })) return;
  best_.insert(std::upper_bound(best_.begin(), best_.end(), found, is_better), found);
  if (best_.size() > keep_) best_.pop_back();
}

void Front::offer(const Found& found) {
  offer_to_pareto(found);
  offer_to_best(found);
}

void Front::offer(const Front& other) {
  for (const auto& found : other.pareto_) offer_to_pareto(found);
  for (const auto& found : other.best_) offer_to_best(found);
}

std::vector<Found> Front::pareto() const {
  auto sorted = pareto_;
  std::sort(sorted.begin(), sorted.end(), [](const Found& a, const Found& b) {
    return std::tuple(a.seconds, a.memory_bytes, a.index) < std::tuple(b.seconds, b.memory_bytes, b.index);
  });
  return sorted;
}

std::vector<Found> Front::best() const { return best_; }

}  // namespace traincost::cost
