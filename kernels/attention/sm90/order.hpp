#pragma once

#include <kernels/common/host_device.hpp>

/// In which order blocks take the queries of the heads.
namespace traincost::kernels::attention::sm90 {

struct BlockOrder {
  int heads;    // of all sequences
  int blocks;   // of queries of a head
  int section;  // heads whose keys and values stay in L2 together
};

struct Place {
  int head, block;
};

/// Sections of heads one after the other; in each the last queries, which see the most keys, of all its heads first.
TRAINCOST_HOST_DEVICE Place place_of(const BlockOrder& order, int index) {
  const int per_section = order.section * order.blocks;
  const int first = index / per_section * order.section;
  const int width = order.section < order.heads - first ? order.section : order.heads - first;
  const int within = index % per_section;
  return {first + within % width, order.blocks - 1 - within / width};
}

}  // namespace traincost::kernels::attention::sm90
