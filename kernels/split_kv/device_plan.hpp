#pragma once

#include <cstddef>
#include <vector>

#include <kernels/common/device_buffer.hpp>
#include <kernels/split_kv/split_kv.hpp>

namespace traincost::kernels::split_kv {

/// A plan with its memory, made on the device, and room for the partial results [max_slots, rows, d_v].
class DevicePlan {
 public:
  DevicePlan(const std::vector<int>& lengths, int num_parts, std::size_t rows, std::size_t d_v)
      : num_parts_(num_parts),
        lengths_(lengths),
        parts_(static_cast<std::size_t>(num_parts)),
        first_part_(lengths.size()),
        slot_begin_(lengths.size() + 1),
        partial_out_(max_slots(num_parts) * rows * d_v),
        partial_lse_(max_slots(num_parts) * rows) {
    launch(
        PlanParams{
            .b = static_cast<int>(lengths.size()),
            .num_parts = num_parts_,
            .lengths = lengths_.data(),
            .parts = parts_.data(),
            .first_part = first_part_.data(),
            .slot_begin = slot_begin_.data(),
        },
        nullptr);
  }
  [[nodiscard]] Plan plan() const { return {num_parts_, parts_.data(), first_part_.data(), slot_begin_.data()}; }

  /// Sets lengths, plan and the places of partial results.
  template <class Params>
  void fill(Params& p) const {
    p.lengths = lengths_.data();
    p.plan = plan();
    p.partial_out = partial_out_.data();
    p.partial_lse = partial_lse_.data();
  }

  [[nodiscard]] const DeviceBuffer<Part>& parts() const { return parts_; }
  [[nodiscard]] const DeviceBuffer<int>& first_part() const { return first_part_; }
  [[nodiscard]] const DeviceBuffer<int>& slot_begin() const { return slot_begin_; }
  /// Partial results: pieces of the sequences that are cut.
  [[nodiscard]] int slots() const { return slot_begin_.to_host().back(); }

 private:
  int num_parts_;
  DeviceBuffer<int> lengths_;
  DeviceBuffer<Part> parts_;
  DeviceBuffer<int> first_part_, slot_begin_;
  DeviceBuffer<float> partial_out_, partial_lse_;
};

/// The same plan on the host.
struct HostPlan {
  HostPlan(const std::vector<int>& lengths, int num_parts)
      : parts(static_cast<std::size_t>(num_parts)), first_part(lengths.size()), slot_begin(lengths.size() + 1) {
    reference(PlanParams{.b = static_cast<int>(lengths.size()),
                         .num_parts = num_parts,
                         .lengths = lengths.data(),
                         .parts = parts.data(),
                         .first_part = first_part.data(),
                         .slot_begin = slot_begin.data()});
  }
  [[nodiscard]] int slots() const { return slot_begin.back(); }

  std::vector<Part> parts;
  std::vector<int> first_part, slot_begin;
};

}  // namespace traincost::kernels::split_kv
