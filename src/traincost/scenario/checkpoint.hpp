#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <vector>

namespace traincost::scenario {

/// What a checkpoint must agree on to be gone on with.
struct CheckpointKey {
  std::uint64_t fingerprint, seed, draws, row_size, chunks, chunk_draws;
  bool operator==(const CheckpointKey&) const = default;
};

/// Finished chunks of a simulation in a file: key, one mark per chunk, rows. A chunk is marked after its rows are
/// written, so that a killed run never leaves a half chunk that looks whole. Without a path it does nothing.
class Checkpoint {
 public:
  Checkpoint(const std::optional<std::filesystem::path>& path, const CheckpointKey& key);  // throws InputError

  bool load(std::uint64_t chunk, std::span<float> rows);
  void store(std::uint64_t chunk, std::span<const float> rows);

 private:
  std::streamoff rows_at(std::uint64_t chunk) const;

  CheckpointKey key_;
  std::vector<char> marks_;
  std::fstream file_;
};

}  // namespace traincost::scenario
