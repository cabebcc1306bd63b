#include <traincost/scenario/checkpoint.hpp>

#include <fmt/format.h>

#include <traincost/units/error.hpp>

namespace traincost::scenario {
namespace {

template <class T>
void put(std::ostream& out, std::span<const T> values) {
  out.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
}

template <class T>
bool get(std::istream& in, std::span<T> values) {
  in.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size_bytes()));
  return in.gcount() == static_cast<std::streamsize>(values.size_bytes());
}

}  // namespace

Checkpoint::Checkpoint(const std::optional<std::filesystem::path>& path, const CheckpointKey& key)
    : key_(key), marks_(key.chunks, 0) {
  if (!path) return;
  if (!std::filesystem::exists(*path)) {
    std::ofstream fresh(*path, std::ios::binary);
    put<CheckpointKey>(fresh, std::span{&key, 1});
    put<char>(fresh, marks_);
    if (!fresh) throw InputError(fmt::format("--checkpoint: cannot write {}", path->string()));
  }
  file_.open(*path, std::ios::binary | std::ios::in | std::ios::out);
  CheckpointKey stored{};
  if (!file_ || !get<CheckpointKey>(file_, std::span{&stored, 1}) || !(stored == key))
    throw InputError(
        fmt::format("--checkpoint: {} belongs to another scenario, seed or number of draws", path->string()));
  if (!get<char>(file_, marks_)) throw InputError(fmt::format("--checkpoint: {} is cut short", path->string()));
}

std::streamoff Checkpoint::rows_at(std::uint64_t chunk) const {
  return static_cast<std::streamoff>(sizeof(CheckpointKey) + key_.chunks +
                                     chunk * key_.chunk_draws * key_.row_size * sizeof(float));
}

bool Checkpoint::load(std::uint64_t chunk, std::span<float> rows) {
  if (!file_.is_open() || marks_[chunk] == 0) return false;
  file_.clear();
  file_.seekg(rows_at(chunk));
  return get<float>(file_, rows);
}

void Checkpoint::store(std::uint64_t chunk, std::span<const float> rows) {
  if (!file_.is_open()) return;
  file_.clear();
  file_.seekp(rows_at(chunk));
  put<float>(file_, rows);
  file_.flush();
  constexpr char kDone = 1;
  file_.seekp(static_cast<std::streamoff>(sizeof(CheckpointKey) + chunk));
  file_.put(kDone);
  file_.flush();
  if (!file_) throw InputError("--checkpoint: cannot write (disk full?)");
}

}  // namespace traincost::scenario
