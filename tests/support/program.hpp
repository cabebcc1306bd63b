#pragma once

#include <string>
#include <vector>

namespace traincost::test {

struct Result {
  int exit_code = -1;
  std::string out, err;
};

/// Runs the built program through the shell in a scratch folder with a copy of the repository's `results`.
Result run(const std::string& arguments);

/// The scratch folder of this process.
std::string scratch();

/// Writes a file into it and returns its path.
std::string scratch_file(const std::string& name, const std::string& text);

std::string read_file(const std::string& path);

/// The lines of a help text below "Examples:" without the program's name.
std::vector<std::string> examples(const std::string& help);

/// The subcommands that `traincost --help` lists.
std::vector<std::string> verbs();

}  // namespace traincost::test
