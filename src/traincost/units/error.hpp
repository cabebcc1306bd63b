#pragma once

#include <stdexcept>
#include <string>

namespace traincost {

/// Bad input: one line that names the file, the key, the value and what was expected. The program ends with exit
/// code 2.
struct InputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace traincost
