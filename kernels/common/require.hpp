#pragma once

#include <cstdint>
#include <string>

#include <traincost/units/error.hpp>

namespace traincost::kernels {

/// `expected` says what holds of a good value: require(topk <= 16, "moe_gate", "topk", topk, "1..16").
inline void require(bool holds, const char* op, const char* key, std::int64_t value, const char* expected) {
  if (!holds) throw InputError(std::string(op) + ": " + key + " = " + std::to_string(value) + ", expected " + expected);
}

}  // namespace traincost::kernels
