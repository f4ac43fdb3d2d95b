// Registered names, for `moebench methods` and `moebench tasks`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "harness/options.h"

namespace moebench {

struct ListedName {
  std::string name;
  std::string summary;
  std::vector<OptionDescription> options;
};

// Declares --json and prints the names with their options. list is asked when the command runs.
std::function<int()> define_listing(CLI::App& command, std::function<std::vector<ListedName>()> list);

}  // namespace moebench
