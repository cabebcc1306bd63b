#include "frame.hpp"

#include <bit>

namespace ptx {

std::optional<Operand> declared_register(const Frame& frame, const std::string& name) {
  if (const auto found = frame.registers.find(name); found != frame.registers.end()) {
    if (!frame.families.contains(name)) return found->second;
  }
  // The prefix of a family may itself end in a digit: try every split.
  for (std::size_t split = name.find_last_not_of("0123456789") + 1; split < name.size(); ++split) {
    const auto family = frame.families.find(name.substr(0, split));
    if (family == frame.families.end()) continue;
    const int number = std::stoi(name.substr(split));
    if (number >= family->second) continue;
    Operand operand = frame.registers.at(family->first);
    operand.offset += static_cast<std::uint32_t>(register_stride(operand.bytes) * static_cast<std::size_t>(number));
    return operand;
  }
  return std::nullopt;
}

Operand Constants::operand(std::uint64_t bits, bool is_double) {
  const Constant constant{bits, is_double};
  const auto [found, fresh] = numbers_.try_emplace(constant, static_cast<std::uint32_t>(constants_.size()));
  if (fresh) constants_.push_back(constant);
  return {.offset = found->second * 256, .constant = 1, .bytes = 8};
}

void Constants::move(std::uint64_t from, std::uint64_t span, std::uint64_t to) {
  for (Constant& constant : constants_) {
    if (constant.bits >= from && constant.bits - from < span) constant.bits = constant.bits - from + to;
  }
}

std::array<std::vector<std::uint64_t>, 4> Constants::pools() const {
  std::array<std::vector<std::uint64_t>, 4> pools;
  for (auto& pool : pools) pool.resize(constants_.size() * 32);
  for (std::size_t i = 0; i < constants_.size(); ++i) {
    const auto& [bits, is_double] = constants_[i];
    const std::uint64_t narrow =
        is_double ? std::bit_cast<std::uint32_t>(static_cast<float>(std::bit_cast<double>(bits))) : bits;
    auto* p16 = reinterpret_cast<std::uint16_t*>(&pools[1][i * 32]);
    auto* p32 = reinterpret_cast<std::uint32_t*>(&pools[2][i * 32]);
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      p16[lane] = static_cast<std::uint16_t>(narrow);
      p32[lane] = static_cast<std::uint32_t>(narrow);
      pools[3][i * 32 + lane] = bits;
    }
  }
  return pools;
}

}  // namespace ptx
