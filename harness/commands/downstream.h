// Tasks of lm-evaluation-harness on a model: from their names to what lm-eval prints and writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/commands/model_arguments.h"
#include "harness/lm_eval/document_builder.h"
#include "harness/lm_eval/task_library.h"
#include "harness/pipeline/progress.h"

namespace moebench {

struct DownstreamArguments {
  std::vector<std::string> tasks;  // tasks, groups, tags, globs of them
  std::string include_path;        // a folder of the user's task files; empty: none
  std::optional<int64_t> num_fewshot, limit, max_length;
  std::string output_path;  // empty: nothing is written
  bool log_samples = false;
};

// Tasks with their documents: all that can be refused before a model is loaded.
class Downstream {
 public:
  // other_names: what could have been meant besides lm-eval's. Throws std::invalid_argument for an unknown task or a
  // setting that does not fit, std::runtime_error for data that is missing or wrong.
  Downstream(DownstreamArguments arguments, const std::vector<std::string>& other_names);

  // Runs all tasks and writes the files that were asked for; returns what the results file holds. moe: of our own, put
  // beside lm-eval's keys.
  nlohmann::ordered_json evaluate(const LoadedModel& loaded, const ModelArguments& model,
                                  const nlohmann::ordered_json& moe, SweepProgress& progress) const;
  // lm-eval's header line and tables.
  std::string console_text(const nlohmann::ordered_json& results) const;

 private:
  DownstreamArguments arguments_;
  TaskSelection selection_;
  std::vector<TaskDocuments> documents_;  // of each task
};

}  // namespace moebench
