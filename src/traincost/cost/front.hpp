#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace traincost::cost {

enum class Objective { time, cost, energy };

/// A layout that a search found, per step.
struct Found {
  std::uint64_t index = 0;  // in its space
  double gpus = 0, seconds = 0, memory_bytes = 0, usd = 0, energy_kwh = 0;
};

double value(const Found& found, Objective objective);

/// The layouts that no other beats in time, memory and money (energy where that is the objective) at once, and the
/// `keep` best by objective. Neither depends on the order in which layouts are offered: of equals the first of the
/// space is kept.
class Front {
 public:
  Front(Objective objective, std::size_t keep) : objective_(objective), keep_(keep) {}
  void offer(const Found& found);
  void offer(const Front& other);

  [[nodiscard]] Objective objective() const { return objective_; }
  [[nodiscard]] std::size_t keep() const { return keep_; }
  [[nodiscard]] std::vector<Found> pareto() const;  // fastest first
  [[nodiscard]] std::vector<Found> best() const;    // best first

 private:
  [[nodiscard]] bool beats(const Found& a, const Found& b) const;
  void offer_to_pareto(const Found& found);
  void offer_to_best(const Found& found);

  Objective objective_;
  std::size_t keep_;
  std::vector<Found> pareto_, best_;
  std::size_t last_winner_ = 0;  // that beat the previous offer: it probably beats the next one too
};

}  // namespace traincost::cost
