#include "harness/lm_eval/task_score.h"

#include <algorithm>
#include <functional>
#include <set>
#include <span>
#include <stdexcept>

#include "harness/lm_eval/filters.h"
#include "harness/lm_eval/metric_aggregation.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;

// WikiText's words and bytes are those of the page before its tokenisation was undone.
std::string counted_text(const TaskDefinition& definition, const EvaluatedDocument& document) {
  const bool raw_page = definition.process_results == "wikitext.process_results";
  return raw_page ? document.doc.at("page").get<std::string>() : document.target;
}

std::vector<Response> filtered(std::vector<Response> responses, const ResponseFilter& filter) {
  for (Response& response : responses) response.text = filter.apply(response.text);
  return responses;
}

void score_filter(const TaskDefinition& definition, const std::vector<EvaluatedDocument>& documents,
                  const std::vector<std::vector<Response>>& responses, const ResponseFilter& filter,
                  std::span<MetricScore> scores) {
  std::vector<TaskMetric> metrics;
  for (const MetricScore& score : scores) metrics.push_back(score.metric);
  for (size_t place = 0; place < documents.size(); ++place) {
    const std::vector<DocumentValue> values =
        document_values(metrics, definition.output_type, documents[place], filtered(responses[place], filter),
                        counted_text(definition, documents[place]));
    for (size_t metric = 0; metric < scores.size(); ++metric) scores[metric].document_values.push_back(values[metric]);
  }
}

const TaskGroup* find_group(const std::vector<TaskGroup>& groups, const std::string& name) {
  const auto found = std::find_if(groups.begin(), groups.end(), [&](const auto& group) { return group.name == name; });
  return found == groups.end() ? nullptr : &*found;
}

void collect_leaves(const TaskGroup& group, const std::vector<TaskGroup>& groups, const std::vector<TaskScore>& tasks,
                    std::vector<const TaskScore*>& leaves) {
  for (const std::string& member : group.members) {
    if (const TaskGroup* subgroup = find_group(groups, member)) {
      collect_leaves(*subgroup, groups, tasks, leaves);
    } else {
      const auto task =
          std::find_if(tasks.begin(), tasks.end(), [&](const auto& score) { return score.task == member; });
      if (task != tasks.end()) leaves.push_back(&*task);
    }
  }
}

// filter_list of an aggregate metric: a name, names, or null for all there are, sorted.
std::vector<std::string> aggregated_filters(const ordered_json& aggregate,
                                            const std::vector<const TaskScore*>& leaves) {
  const auto given = aggregate.find("filter_list");
  if (given != aggregate.end() && given->is_string()) return {given->get<std::string>()};
  if (given != aggregate.end() && given->is_array()) return given->get<std::vector<std::string>>();
  std::set<std::string> filters;
  for (const TaskScore* leaf : leaves) {
    for (const MetricScore& score : leaf->scores) {
      if (score.metric.name == aggregate.at("metric")) filters.insert(score.filter);
    }
  }
  return {filters.begin(), filters.end()};
}

std::optional<GroupMetricScore> aggregate_metric(const std::string& metric, const std::string& filter,
                                                 bool weight_by_size, const std::vector<const TaskScore*>& leaves) {
  GroupMetricScore aggregated{
      .metric = metric, .filter = filter, .standard_error = std::nullopt, .weighs_by_size = weight_by_size};
  std::vector<GroupMember> members;
  for (const TaskScore* leaf : leaves) {
    for (const MetricScore& score : leaf->scores) {
      if (score.metric.name != metric || score.filter != filter) continue;
      members.push_back({score.value, score.standard_error, leaf->num_documents});
      aggregated.num_documents += leaf->num_documents;
    }
  }
  if (members.empty()) return std::nullopt;
  const GroupValue group = aggregate_group(members, weight_by_size);
  aggregated.value = group.value;
  aggregated.standard_error = group.standard_error;
  return aggregated;
}

// An entry is {"metric", "weight_by_size", "filter_list", "aggregation": "mean"}.
void check_aggregate(const ordered_json& aggregate) {
  if (!aggregate.is_object() || !aggregate.contains("metric") || !aggregate["metric"].is_string()) {
    throw std::invalid_argument("aggregate_metric_list must be a list of entries with a metric");
  }
  for (const auto& [key, value] : aggregate.items()) {
    const bool known = key == "metric" || (key == "aggregation" && value == "mean") ||
                       (key == "weight_by_size" && value.is_boolean()) ||
                       (key == "filter_list" && (value.is_string() || value.is_array() || value.is_null()));
    if (!known) throw std::invalid_argument("aggregate_metric_list: " + key + " " + value.dump() + " is not supported");
  }
}

template <typename Check>
void check_named(const std::string& subject, const Check& check) {
  try {
    check();
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(subject + ": " + error.what());
  }
}

}  // namespace

void check_scoring(const TaskSelection& selection) {
  for (const TaskDefinition& task : selection.tasks) {
    check_named("task '" + task.task + "'", [&] {
      parse_metrics(task.metric_list, task.output_type);
      response_filters(task.filter_list);
    });
  }
  for (const TaskGroup& group : selection.groups) {
    check_named("group '" + group.name + "'", [&] {
      for (const ordered_json& aggregate : group.aggregate_metric_list) check_aggregate(aggregate);
    });
  }
}

TaskScore score_task(const TaskDefinition& definition, const std::vector<EvaluatedDocument>& documents,
                     const std::vector<std::vector<Response>>& responses, int64_t bootstrap_iterations) {
  if (documents.empty() || documents.size() != responses.size()) {
    throw std::logic_error("a task is scored on its documents, one list of responses each");
  }
  TaskScore task{.task = definition.task,
                 .alias = definition.task_alias.empty() ? definition.task : definition.task_alias,
                 .num_documents = static_cast<int64_t>(documents.size()),
                 .scores = {}};
  check_named("task '" + definition.task + "'", [&] {
    const std::vector<TaskMetric> metrics = parse_metrics(definition.metric_list, definition.output_type);
    for (const ResponseFilter& filter : response_filters(definition.filter_list)) {
      const size_t first = task.scores.size();
      for (const TaskMetric& metric : metrics) task.scores.push_back({.metric = metric, .filter = filter.name});
      score_filter(definition, documents, responses, filter, std::span(task.scores).subspan(first));
    }
    for (MetricScore& score : task.scores) {
      score.value = aggregate(score.metric.aggregation, score.document_values);
      score.standard_error = standard_error(score.metric.aggregation, score.document_values, bootstrap_iterations);
    }
  });
  return task;
}

GroupScore score_group(const TaskGroup& group, const std::vector<TaskGroup>& groups,
                       const std::vector<TaskScore>& tasks) {
  GroupScore result{.group = group.name, .alias = group.alias};
  std::vector<const TaskScore*> leaves;
  collect_leaves(group, groups, tasks, leaves);
  for (const TaskScore* leaf : leaves) {
    result.tasks.push_back(leaf->task);
    result.num_documents += leaf->num_documents;
  }
  for (const ordered_json& aggregate : group.aggregate_metric_list) {
    const std::string metric = aggregate.at("metric").get<std::string>();
    const bool weight_by_size = aggregate.value("weight_by_size", true);
    for (const std::string& filter : aggregated_filters(aggregate, leaves)) {
      const auto score = aggregate_metric(metric, filter, weight_by_size, leaves);
      if (score.has_value()) result.scores.push_back(*score);
    }
  }
  return result;
}

std::vector<GroupScore> score_groups(const std::vector<TaskGroup>& groups, const std::vector<TaskScore>& tasks) {
  std::vector<GroupScore> scores;
  std::set<std::string> visited;
  const std::function<void(const TaskGroup&)> visit = [&](const TaskGroup& group) {
    if (!visited.insert(group.name).second) return;
    for (const std::string& member : group.members) {
      if (const TaskGroup* subgroup = find_group(groups, member)) visit(*subgroup);
    }
    scores.push_back(score_group(group, groups, tasks));
  };
  for (const TaskGroup& group : groups) visit(group);
  return scores;
}

}  // namespace moebench
