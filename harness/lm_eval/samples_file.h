// lm-eval's samples_<task>_<time>.jsonl: every document with its requests, answers and hashes.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/lm_eval/task_score.h"

namespace moebench {

// Hands write() one line a document and filter, newline included, and returns the task's hash: SHA-256 of all lines'
// document, prompt and target hashes. score: of the same documents and responses.
std::string write_samples(const TaskDefinition& definition, const std::vector<EvaluatedDocument>& documents,
                          const std::vector<std::vector<Response>>& responses, const TaskScore& score,
                          const std::function<void(std::string_view)>& write);

}  // namespace moebench
