#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>

#include <traincost/app/command.hpp>
#include <traincost/units/error.hpp>

namespace traincost::app {
namespace {

constexpr int kBadInput = 2;

constexpr void (*kCommands[])(CLI::App&) = {
    add_chips,   add_models,   add_calibrate, add_classify, add_rules, add_estimate, add_search, add_ablate,
    add_compare, add_validate, add_scenario,  add_budget,   add_trend, add_rl,       add_cache,
};

int fail(std::string line) {
  std::replace(line.begin(), line.end(), '\n', ' ');
  std::fprintf(stderr, "traincost: %s\n", line.c_str());
  return kBadInput;
}

int run(int argc, char** argv) {
  CLI::App app{"What a training run costs on the chips that a buyer may have.", "traincost"};
  app.set_version_flag("--version", TRAINCOST_VERSION);
  for (const auto add : kCommands) add(app);
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) return fail("which command? (see --help)");
  } catch (const CLI::Success& help) {
    return app.exit(help);
  } catch (const CLI::ParseError& error) {
    return fail(std::string(error.what()) + " (see --help)");
  } catch (const std::exception& error) {
    return fail(error.what());
  }
  return 0;
}

}  // namespace
}  // namespace traincost::app

int main(int argc, char** argv) { return traincost::app::run(argc, argv); }
