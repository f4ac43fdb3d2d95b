// What `run` and `plan` share: the sweep file with its overrides, and the database.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "harness/pipeline/artifact_folder.h"
#include "harness/pipeline/cell.h"
#include "harness/pipeline/sweep_plan.h"

namespace moebench {

struct SweepArguments {
  std::string sweep_file;
  std::vector<std::string> settings;  // --set
  std::string data_folder;            // --data
  std::string database;               // --db; "" = <name>.sqlite
};

void add_sweep_arguments(CLI::App& command, SweepArguments& arguments);

// Throws as read_sweep_spec does. Sets MOEBENCH_DATA to --data.
SweepSpec read_sweep(const SweepArguments& arguments);

std::filesystem::path database_path(const SweepArguments& arguments, const SweepSpec& spec);

// What the database holds, none if it is not there. Throws std::runtime_error if it cannot be used.
RecordedCells read_recorded(const std::filesystem::path& database);

// The plan's cells against the database, as text.
std::string describe_plan(const SweepPlan& plan, const std::filesystem::path& database, bool why);

}  // namespace moebench
