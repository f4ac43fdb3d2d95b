// A sweep as a Slurm job array: groups of cells that need nothing of one another, and the scripts that run them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "harness/pipeline/artifact_folder.h"
#include "harness/pipeline/cell.h"
#include "harness/pipeline/sweep_plan.h"

namespace moebench {

// What one task of an array does: conversions with all that is made of them and measured.
struct SlurmTask {
  std::vector<std::string> keys;
  std::vector<std::string> labels;  // of its conversions; "dense"
};

// Of what the database does not have. conversions_a_task: as many of one seed together, so that they share a pass.
std::vector<SlurmTask> slurm_tasks(const SweepPlan& plan, const RecordedCells& recorded,
                                   const ArtifactFolder& artifacts, int64_t conversions_a_task);

struct SlurmOptions {
  std::filesystem::path out;       // absolute; holds tasks/, shards/, partial/, logs/
  std::filesystem::path database;  // absolute; what shards are merged into
  std::string program;             // absolute path
  std::string sweep_command;       // "run FILE --set …" quoted for a shell, without --db
  std::string working_folder;      // absolute: relative paths of the sweep are seen from there
  std::string time_limit = "4:00:00";
  int64_t signal_seconds = 120;  // before the limit: a task checkpoints and is queued again
  int64_t max_parallel = 32;
  int64_t cpus_per_task = 0;            // 0: as the cluster has it
  std::vector<std::string> directives;  // further ones: "--gres=gpu:1"
};

// Runs task MOEBENCH_TASK_OFFSET + SLURM_ARRAY_TASK_ID on a database on local disk, and renames what comes out into
// out/shards. Told to stop, it leaves what it has in out/partial and queues itself again.
std::string array_script(const SlurmOptions& options, const std::string& job_name);

// Merges the shards into the database and brings their conversions beside it.
std::string merge_script(const SlurmOptions& options, const std::string& job_name);

// The arguments of sbatch for each part of the array: none has more than max_array_size tasks.
std::vector<std::string> sbatch_arguments(const SlurmOptions& options, int64_t num_tasks, int64_t max_array_size);

}  // namespace moebench
