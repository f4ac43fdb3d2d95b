#include "tasks/lm_eval_measurement.h"

#include <algorithm>

#include "harness/content_hash.h"

namespace moebench {
namespace {

constexpr size_t kLongestCluster = 40, kHashLength = 16;  // characters

std::string cluster_name(const std::string& cluster) {
  if (cluster.size() <= kLongestCluster) return cluster;
  return content_hash(std::string_view(cluster)).substr(0, kHashLength);
}

// "" where they are the task's own.
std::string shots_of(const ScoredTask& task) {
  const int64_t shots = task.documents.num_fewshot;
  return shots == task.own_fewshot ? "" : std::to_string(shots) + "-shot";
}

class MeasuredTasks {
 public:
  MeasuredTasks(const std::vector<ScoredTask>& tasks, const std::vector<TaskGroup>& groups, const std::string& protocol)
      : tasks_(tasks), protocol_(protocol) {
    std::vector<TaskScore> scores;
    for (const ScoredTask& task : tasks) scores.push_back(task.score);
    groups_ = score_groups(groups, scores);
    std::reverse(groups_.begin(), groups_.end());  // a group before its subgroups
  }

  Measurement measurement() const {
    Measurement measurement;
    for (const GroupScore& group : groups_) {
      for (const GroupMetricScore& score : group.scores) measurement.metrics.push_back(group_metric(group, score));
    }
    for (const ScoredTask& task : tasks_) {
      for (const MetricScore& score : task.score.scores) {
        measurement.metrics.push_back(task_metric(task, score));
        add_items(task, score, measurement.items);
      }
    }
    return measurement;
  }

 private:
  static bool has(const GroupScore& group, const ScoredTask& task) {
    return std::find(group.tasks.begin(), group.tasks.end(), task.score.task) != group.tasks.end();
  }

  static Direction direction_of(const TaskMetric& metric) {
    return metric.higher_is_better ? Direction::kHigherIsBetter : Direction::kLowerIsBetter;
  }

  std::string metric_name(const std::string& task, const std::string& shots, const std::string& filter,
                          const std::string& metric) const {
    std::string name = task;
    for (const std::string& part : {protocol_, shots, filter == "none" ? "" : filter, metric}) {
      if (!part.empty()) name += "/" + part;
    }
    return name;
  }

  Metric task_metric(const ScoredTask& task, const MetricScore& score) const {
    return {.name = metric_name(task.score.task, shots_of(task), score.filter, score.metric.name),
            .unit = score.metric.aggregation == Aggregation::kBitsPerByte ? "bit/byte" : "",
            .value = score.value,
            .direction = direction_of(score.metric),
            .n = task.score.num_documents,
            .standard_error = score.standard_error};
  }

  std::string group_shots(const GroupScore& group) const {
    std::string shots;
    bool is_first = true;
    for (const ScoredTask& task : tasks_) {
      if (!has(group, task)) continue;
      const std::string others = shots_of(task);
      if (!is_first && others != shots) return "mixed-shot";
      shots = others;
      is_first = false;
    }
    return shots;
  }

  std::string name_of(const GroupScore& group, const GroupMetricScore& score) const {
    return metric_name(group.group, group_shots(group), score.filter, score.metric);
  }

  // The direction is its tasks'.
  Metric group_metric(const GroupScore& group, const GroupMetricScore& score) const {
    Metric metric{.name = name_of(group, score),
                  .value = score.value,
                  .n = score.num_documents,
                  .standard_error = score.standard_error};
    for (const ScoredTask& task : tasks_) {
      for (const MetricScore& part : task.score.scores) {
        if (has(group, task) && part.metric.name == score.metric) metric.direction = direction_of(part.metric);
      }
    }
    return metric;
  }

  // Task and beginning of the id of the items of this metric.
  Item first_item(const ScoredTask& task, const MetricScore& score) const {
    for (const GroupScore& group : groups_) {
      for (const GroupMetricScore& pooled : group.scores) {
        if (has(group, task) && pooled.weighs_by_size && pooled.metric == score.metric.name &&
            pooled.filter == score.filter) {
          return {.task = name_of(group, pooled), .id = task.score.task + "/"};
        }
      }
    }
    return {.task = task_metric(task, score).name};
  }

  static double right_answer_nll(const ScoredTask& task, size_t document) {
    if (task.output_type == OutputType::kGenerateUntil) return 0;
    const int64_t gold = task.documents.documents[document].gold;
    return -task.responses[document].at(gold < 0 ? 0 : static_cast<size_t>(gold)).loglikelihood;
  }

  void add_items(const ScoredTask& task, const MetricScore& score, std::vector<Item>& items) const {
    const Aggregation aggregation = score.metric.aggregation;
    if (aggregation == Aggregation::kF1 || aggregation == Aggregation::kMatthewsCorrelation) return;
    const Item first = first_item(task, score);
    for (size_t place = 0; place < score.document_values.size(); ++place) {
      const EvaluatedDocument& document = task.documents.documents[place];
      const DocumentValue& value = score.document_values[place];
      Item item = first;
      item.id += std::to_string(document.doc_id);
      item.cluster = cluster_name(document.cluster);
      item.nll = right_answer_nll(task, place);
      if (aggregation == Aggregation::kMean) {
        item.correct = value.value == 1;
      } else {
        item.tokens = aggregation == Aggregation::kPerplexity ? 1 : static_cast<int64_t>(value.second);
      }
      items.push_back(std::move(item));
    }
  }

  const std::vector<ScoredTask>& tasks_;
  const std::string& protocol_;
  std::vector<GroupScore> groups_;
};

}  // namespace

Measurement lm_eval_measurement(const std::vector<ScoredTask>& tasks, const std::vector<TaskGroup>& groups,
                                const std::string& protocol) {
  return MeasuredTasks(tasks, groups, protocol).measurement();
}

}  // namespace moebench
