#include "lexer.hpp"

#include <cctype>

namespace ptx {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || c == '%' || c == '.';
}

std::size_t word_end(std::string_view text, std::size_t at) {
  while (at < text.size()) {
    if (is_word(text[at])) {
      ++at;
    } else if (text.substr(at, 2) == "::") {
      at += 2;
    } else {
      break;
    }
  }
  return at;
}

}  // namespace

std::vector<Token> tokens(std::string_view text) {
  std::vector<Token> out;
  int line = 1;
  std::size_t at = 0;
  while (at < text.size()) {
    const char c = text[at];
    std::size_t end = at + 1;
    if (c == '\n') {
      ++line;
    } else if (text.substr(at, 2) == "//") {
      end = std::min(text.find('\n', at), text.size());
    } else if (text.substr(at, 2) == "/*") {
      end = std::min(text.find("*/", at), text.size() - 2) + 2;
      for (const char skipped : text.substr(at, end - at)) line += skipped == '\n' ? 1 : 0;
    } else if (c == '"') {
      end = std::min(text.find('"', at + 1), text.size() - 1) + 1;
      out.push_back({text.substr(at, end - at), line});
    } else if (is_word(c)) {
      end = word_end(text, at);
      out.push_back({text.substr(at, end - at), line});
    } else if (std::isspace(static_cast<unsigned char>(c)) == 0 && c != '\0') {
      out.push_back({text.substr(at, 1), line});
    }
    at = end;
  }
  return out;
}

}  // namespace ptx
