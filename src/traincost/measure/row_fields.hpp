#pragma once

#include <map>
#include <string>

#include <traincost/work/op.hpp>

namespace traincost::measure {

/// An operation under the keys that make_row reads: numbers as counters, words as text.
struct Fields {
  std::map<std::string, double> numbers;
  std::map<std::string, std::string> words;
};
Fields fields_of(const work::Op& op);

}  // namespace traincost::measure
