// Tasks of lm-evaluation-harness on a model: from their names to what lm-eval prints and writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/commands/model_arguments.h"
#include "harness/pipeline/progress.h"
#include "harness/scoring/downstream_tasks.h"

namespace moebench {

struct DownstreamArguments : DownstreamChoice {
  std::optional<int64_t> max_length;
  std::string lm_eval_compat = kDefaultEncodingProfile;
  std::string output_path;  // empty: nothing is written
  bool log_samples = false;
};

// Tasks with their documents: all that can be refused before a model is loaded.
class Downstream {
 public:
  // Throws as select_downstream_tasks and build_documents do, and std::invalid_argument for settings that do not fit.
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
