// From a task's documents to the requests that a model answers, as lm-evaluation-harness 0.4.13 makes them
// (lm_eval/api/task.py).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/lm_eval/evaluated_document.h"
#include "harness/lm_eval/task_data.h"
#include "harness/lm_eval/task_definition.h"

namespace moebench {

inline constexpr uint64_t kFewshotSeed = 1234;  // lm-eval's default

struct TaskDocuments {
  std::vector<EvaluatedDocument> documents;
  int64_t num_available = 0;  // in the evaluation split, before the limit
  int64_t num_fewshot = 0;    // what was used: 0 where the task pins 0
  std::string data_hash;      // of the files read
};

// num_fewshot: unset: the task's own number, else 0. limit: the first so many documents; unset: all.
// Throws std::invalid_argument: a limit below 1, more shots than the pool has. Throws std::runtime_error naming task,
// document (its place in its split) and what is wrong: data that is missing, a field that is, a template's error, a
// label that is no choice.
TaskDocuments build_documents(const TaskDefinition& definition, std::optional<int64_t> num_fewshot,
                              std::optional<int64_t> limit, uint64_t fewshot_seed = kFewshotSeed);
TaskDocuments build_documents(const TaskDefinition& definition, std::optional<int64_t> num_fewshot,
                              std::optional<int64_t> limit, uint64_t fewshot_seed, TaskFiles& files);

}  // namespace moebench
