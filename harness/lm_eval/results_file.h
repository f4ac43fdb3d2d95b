// lm-eval's results_<time>.json, with 0.4.13's keys in its order, and where it and the samples stand.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/lm_eval/task_score.h"

namespace moebench {

// One task of a run, as it was evaluated.
struct EvaluatedTask {
  TaskDefinition definition;
  int64_t num_fewshot = 0;
  int64_t num_available = 0;  // documents in the split, before the limit
  TaskScore score;
  std::string hash;  // write_samples' answer; empty: no samples were asked for
};

// What a results file tells of the run besides its numbers.
struct RunFacts {
  nlohmann::ordered_json config;                                    // "model", "model_args", "batch_size", "limit", …
  std::string git_hash;                                             // of this program; empty: unknown
  double start_date = 0;                                            // seconds since 1970
  std::string environment;                                          // pretty_env_info
  std::string lm_eval_version;                                      // the one whose numbers these are
  std::pair<std::string, int64_t> pad_token, eos_token, bos_token;  // text and id; an id below 0: the model has none
  int64_t max_length = 0;
  std::string model_source, model_name;
  double evaluation_seconds = 0;
  nlohmann::ordered_json moe;  // of our own, under one key that lm-eval lacks; null: none
};

nlohmann::ordered_json results_json(const std::vector<EvaluatedTask>& tasks, const std::vector<TaskGroup>& groups,
                                    const RunFacts& run);

// <output_path>/<model>/results_<time>.json, or <stem>_<time>.json where output_path ends in .json; samples beside it.
// Runs of characters that file names must not have become "__" in the model's name.
struct ResultPaths {
  std::filesystem::path folder, results;
  std::string time;

  std::filesystem::path samples(const std::string& task) const;
};

// time: local, to the microsecond, as Python's isoformat with '-' for ':'. Creates the folders. Throws TryAgainError
// that names the folder if it cannot be.
ResultPaths result_paths(const std::filesystem::path& output_path, const std::string& model_name,
                         std::chrono::system_clock::time_point time);

// Indented by two, non-ASCII kept; written beside and renamed. Throws TryAgainError.
void write_results(const std::filesystem::path& path, const nlohmann::ordered_json& results);

}  // namespace moebench
