// Tasks of lm-evaluation-harness from their names to a model's scores: what the command eval and sweeps share.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "harness/lm_eval/document_builder.h"
#include "harness/lm_eval/task_library.h"
#include "harness/lm_eval/task_score.h"
#include "harness/scoring/answers.h"

namespace moebench {

struct DownstreamChoice {
  std::vector<std::string> tasks;  // tasks, groups, tags, globs of them
  std::string include_path;        // a folder of the user's task files; empty: none
  std::optional<int64_t> num_fewshot, limit;
};

struct DownstreamTasks {
  TaskSelection selection;
  std::vector<int64_t> own_fewshot;  // of each task: what it says of itself, whatever its groups and the choice say
};

// Reads task files, but no data. other_names: what could have been meant besides lm-eval's. Throws
// std::invalid_argument for an unknown task, or a metric or filter that is not supported; std::runtime_error for a task
// file that is wrong.
DownstreamTasks select_downstream_tasks(const DownstreamChoice& choice, const std::vector<std::string>& other_names);

// Of each task of the selection. Throws as build_documents does.
std::vector<TaskDocuments> build_documents(const TaskSelection& selection, const DownstreamChoice& choice);

struct TaskEvaluation {
  Answers answers;
  TaskScore score;
};

// settings.max_length: 0: the model's positions; settings.generation_kwargs are the definition's. Throws as answer
// does.
TaskEvaluation evaluate_task(const LlamaModel& model, const Tokenizer& tokenizer, const TaskDefinition& definition,
                             const TaskDocuments& documents, AnswerSettings settings);

}  // namespace moebench
