#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ptx {

struct Token {
  std::string_view text;
  int line = 0;
};

/// Words (identifiers with their dots, %, $ and "::"), numbers, strings and single punctuation marks; no comments.
[[nodiscard]] std::vector<Token> tokens(std::string_view text);

}  // namespace ptx
