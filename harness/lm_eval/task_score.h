// A task's numbers from its documents and a model's answers, and a group's from its tasks'.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/lm_eval/document_builder.h"
#include "harness/lm_eval/evaluated_document.h"
#include "harness/lm_eval/metrics.h"
#include "harness/lm_eval/task_definition.h"
#include "harness/lm_eval/task_library.h"

namespace moebench {

inline constexpr int64_t kBootstrapIterations = 100000;  // lm-eval's default

struct MetricScore {
  TaskMetric metric;
  std::string filter;
  double value = 0;
  std::optional<double> standard_error;        // none: "N/A"
  std::vector<DocumentValue> document_values;  // in the documents' order
};

struct TaskScore {
  std::string task, alias;
  int64_t num_documents = 0;
  std::vector<MetricScore> scores;  // filter by filter, as lm-eval orders them
};

// What score_task and score_groups would refuse, before a model has answered anything: throws std::invalid_argument
// that names the task or group, and the metric, filter or setting that is not supported.
void check_scoring(const TaskSelection& selection);

// responses: of each document one an instance. documents are not empty. Throws std::invalid_argument for a metric or a
// filter that is not supported, naming the task.
TaskScore score_task(const TaskDefinition& definition, const std::vector<EvaluatedDocument>& documents,
                     const std::vector<std::vector<Response>>& responses,
                     int64_t bootstrap_iterations = kBootstrapIterations);

struct GroupMetricScore {
  std::string metric, filter;
  double value = 0;
  std::optional<double> standard_error;
  int64_t num_documents = 0;   // of the tasks that have it
  bool weighs_by_size = true;  // its value is the mean over all their documents
};

struct GroupScore {
  std::string group, alias;
  std::vector<std::string> tasks;  // its own and its subgroups'
  int64_t num_documents = 0;
  std::vector<GroupMetricScore> scores;  // empty: the group aggregates nothing
};

// Over the tasks of the group and of its subgroups. groups: all of the selection. Tasks without the metric are passed
// over, as in lm-eval.
GroupScore score_group(const TaskGroup& group, const std::vector<TaskGroup>& groups,
                       const std::vector<TaskScore>& tasks);

// Subgroups before the groups that hold them, as lm-eval reports them. groups: in the order of TaskSelection.
std::vector<GroupScore> score_groups(const std::vector<TaskGroup>& groups, const std::vector<TaskScore>& tasks);

}  // namespace moebench
