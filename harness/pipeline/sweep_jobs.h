// A sweep by several processes: what crashes or runs out of memory in one is that cell's row, and the others go on.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "harness/pipeline/sweep_run.h"

namespace moebench {

struct JobOptions {
  int64_t num_jobs = 1;
  double cell_timeout_seconds = 0;  // of one process; 0: none
  bool keep_going = true;           // past a cell that failed
  // The program and its arguments that do the cells of a file, one key a line.
  std::function<std::vector<std::string>(const std::filesystem::path& cells_file)> command;
};

// As run_sweep, which see. The logs of processes are in <database>.artifacts/jobs. A process that says "try again"
// (exit code 75) is tried three times, with a pause. After a signal all are told to stop at their next safe point.
SweepOutcome run_sweep_in_jobs(const SweepPlan& plan, ResultStore& store, const ArtifactFolder& artifacts,
                               const JobOptions& options, SweepProgress& progress);

}  // namespace moebench
