#pragma once

#include <memory>

#include <bench/cuda/card.hpp>
#include <bench/program/backend.hpp>

namespace traincost::bench::cuda {

/// cold: one launch after the L2 cache was flushed. hot: launches back to back, so many that the events' resolution
/// does not matter. graph: a CUDA graph that launches each of the copies of the problem once, whose memory together
/// exceeds twice the cache.
std::unique_ptr<Probe> card_probe(Card& card, std::shared_ptr<Prepared> prepared, measure::Mode mode);

}  // namespace traincost::bench::cuda
