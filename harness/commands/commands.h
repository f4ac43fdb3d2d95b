// The subcommands of the program. To add one: a .cpp in this folder that defines a function like those below, its
// declaration here, and its line in commands.cpp.
//
//   std::function<int()> define_report(CLI::App& command) {
//     struct Arguments { std::string database; };
//     auto arguments = std::make_shared<Arguments>();
//     command.add_option("--db", arguments->database, "results database")->required();
//     return [arguments] { return report(*arguments); };   // after parsing; the exit code
//   }
#pragma once

#include <functional>
#include <vector>

#include <CLI/CLI.hpp>

namespace moebench {

struct Command {
  const char* name;
  const char* summary;  // one line
  // Declares the command's options and returns what runs once they are parsed. That returns the exit code (0, or 4
  // if one of several runs failed) and throws as harness/error.h says.
  std::function<int()> (*define)(CLI::App& command);
};

std::function<int()> define_baseline(CLI::App& command);
std::function<int()> define_bisect(CLI::App& command);
std::function<int()> define_compare(CLI::App& command);
std::function<int()> define_convert(CLI::App& command);
std::function<int()> define_db(CLI::App& command);
std::function<int()> define_eval(CLI::App& command);
std::function<int()> define_score(CLI::App& command);
std::function<int()> define_generate(CLI::App& command);
std::function<int()> define_tokenize(CLI::App& command);
std::function<int()> define_inspect(CLI::App& command);
std::function<int()> define_latency(CLI::App& command);
std::function<int()> define_methods(CLI::App& command);
std::function<int()> define_nightly(CLI::App& command);
std::function<int()> define_plan(CLI::App& command);
std::function<int()> define_report(CLI::App& command);
std::function<int()> define_retrain(CLI::App& command);
std::function<int()> define_run(CLI::App& command);
std::function<int()> define_slurm(CLI::App& command);
std::function<int()> define_status(CLI::App& command);
std::function<int()> define_tasks(CLI::App& command);

// In the order of --help.
const std::vector<Command>& commands();

}  // namespace moebench
