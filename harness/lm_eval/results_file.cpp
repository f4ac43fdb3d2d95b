#include "harness/lm_eval/results_file.h"

#include <algorithm>
#include <ctime>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>

#include <fmt/format.h>

#include "harness/atomic_file.h"
#include "harness/error.h"
#include "harness/lm_eval/python_json.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;

ordered_json error_json(const std::optional<double>& standard_error) {
  return standard_error.has_value() ? ordered_json(*standard_error) : ordered_json("N/A");
}

ordered_json task_metrics(const TaskScore& task) {
  ordered_json metrics = {{"name", task.task}, {"alias", task.alias}, {"sample_len", task.num_documents}};
  for (const MetricScore& score : task.scores) {
    metrics[score.metric.name + "," + score.filter] = score.value;
    metrics[score.metric.name + "_stderr," + score.filter] = error_json(score.standard_error);
  }
  return metrics;
}

ordered_json group_metrics(const GroupScore& group, bool aggregates) {
  ordered_json metrics = {{"alias", group.alias}, {"name", group.group}};
  if (aggregates) metrics["sample_len"] = group.num_documents;
  ordered_json counts = ordered_json::object();
  for (const GroupMetricScore& score : group.scores) {
    const std::string key = score.metric + "," + score.filter;
    metrics[key] = score.value;
    metrics[score.metric + "_stderr," + score.filter] = error_json(score.standard_error);
    counts[key] = score.num_documents;
  }
  if (!counts.empty()) metrics["sample_count"] = std::move(counts);
  return metrics;
}

// In the order of the task's metric_list, which is not that of its results.
ordered_json directions(const EvaluatedTask& task) {
  ordered_json directions = ordered_json::object();
  for (const ordered_json& entry : task.definition.metric_list)
    directions[entry.at("metric").get<std::string>()] = true;
  for (const MetricScore& score : task.score.scores) directions[score.metric.name] = score.metric.higher_is_better;
  return directions;
}

// What the members agree on. As lm-eval does it, a subgroup that stands after its group says nothing to it.
ordered_json group_directions(const TaskGroup& group, const ordered_json& known) {
  ordered_json directions = ordered_json::object();
  for (const std::string& member : group.members) {
    if (!known.contains(member)) continue;
    for (const auto& [metric, higher] : known[member].items()) {
      if (!directions.contains(metric)) {
        directions[metric] = higher;
      } else if (directions[metric] != higher) {
        directions[metric] = nullptr;
      }
    }
  }
  return directions;
}

void add_group_shots(const TaskGroup& group, ordered_json& shots) {
  ordered_json common;
  for (const std::string& member : group.members) {
    if (!shots.contains(member)) continue;
    if (!common.is_null() && common != shots[member]) return;
    common = shots[member];
  }
  if (!common.is_null()) shots[group.name] = common;
}

ordered_json sorted(const ordered_json& object) {
  ordered_json result = ordered_json::object();
  std::map<std::string, ordered_json> items;
  for (const auto& [key, value] : object.items()) items[key] = value;
  for (auto& [key, value] : items) result[key] = std::move(value);
  return result;
}

void add_scores(ordered_json& results, const std::vector<EvaluatedTask>& tasks, const std::vector<TaskGroup>& groups) {
  std::vector<TaskScore> scores;
  ordered_json aggregated = ordered_json::object();
  for (const EvaluatedTask& task : tasks) {
    scores.push_back(task.score);
    results["results"][task.definition.task] = task_metrics(task.score);
  }
  for (const GroupScore& score : score_groups(groups, scores)) {
    const auto group =
        std::find_if(groups.begin(), groups.end(), [&](const auto& item) { return item.name == score.group; });
    const bool aggregates = !group->aggregate_metric_list.empty();
    results["results"][score.group] = group_metrics(score, aggregates);
    if (aggregates) aggregated[score.group] = group_metrics(score, aggregates);
  }
  if (!aggregated.empty()) results["groups"] = std::move(aggregated);
}

// str() of a group's version: lm-eval writes those of tasks as they are.
ordered_json group_version(const TaskGroup& group) {
  if (group.version.is_null()) return "N/A";
  return group.version.is_string() ? group.version : ordered_json(python_json(group.version));
}

void add_settings(ordered_json& results, const std::vector<EvaluatedTask>& tasks,
                  const std::vector<TaskGroup>& groups) {
  const ordered_json none = ordered_json::object();
  ordered_json subtasks = none, configs = none, versions = none, shots = none, higher = none, counts = none;
  for (const EvaluatedTask& task : tasks) {
    const std::string& name = task.definition.task;
    configs[name] = task.definition.config;
    versions[name] = task.definition.version;
    shots[name] = task.num_fewshot;
    higher[name] = directions(task);
    counts[name] = {{"original", task.num_available}, {"effective", task.score.num_documents}};
  }
  for (const TaskGroup& group : groups) {
    subtasks[group.name] = group.members;
    versions[group.name] = group_version(group);
    add_group_shots(group, shots);
    const ordered_json directions = group_directions(group, higher);
    if (!directions.empty()) higher[group.name] = directions;
  }
  results["group_subtasks"] = subtasks;
  results["configs"] = sorted(configs);
  results["versions"] = sorted(versions);
  results["n-shot"] = sorted(shots);
  results["higher_is_better"] = sorted(higher);
  results["n-samples"] = counts;
}

ordered_json token_json(const std::pair<std::string, int64_t>& token) {
  if (token.second < 0) return ordered_json::array({nullptr, "None"});
  return ordered_json::array({token.first, std::to_string(token.second)});
}

std::string sanitised(const std::string& model_name) {
  std::string name;
  bool in_run = false;
  for (const char byte : model_name) {
    const bool forbidden = std::string_view("\"<>:/|\\?*[]").find(byte) != std::string_view::npos;
    if (!forbidden) name += byte;
    if (forbidden && !in_run) name += "__";
    in_run = forbidden;
  }
  return name;
}

void add_run(ordered_json& results, const std::vector<EvaluatedTask>& tasks, const RunFacts& run) {
  results["config"] = run.config;
  results["git_hash"] = run.git_hash.empty() ? ordered_json() : ordered_json(run.git_hash);
  results["date"] = run.start_date;
  results["pretty_env_info"] = run.environment;
  results["transformers_version"] = "N/A";
  results["lm_eval_version"] = run.lm_eval_version;
  results["upper_git_hash"] = nullptr;
  results["tokenizer_pad_token"] = token_json(run.pad_token);
  results["tokenizer_eos_token"] = token_json(run.eos_token);
  results["tokenizer_bos_token"] = token_json(run.bos_token);
  results["eot_token_id"] = run.eos_token.second < 0 ? ordered_json() : ordered_json(run.eos_token.second);
  results["max_length"] = run.max_length;
  results["task_hashes"] = ordered_json::object();
  for (const EvaluatedTask& task : tasks) {
    if (!task.hash.empty()) results["task_hashes"][task.definition.task] = task.hash;
  }
  results["model_source"] = run.model_source;
  results["model_name"] = run.model_name;
  results["model_name_sanitized"] = sanitised(run.model_name);
  results["system_instruction"] = nullptr;
  results["system_instruction_sha"] = nullptr;
  results["fewshot_as_multiturn"] = true;  // lm-eval's default; it means something with a chat template only
  results["chat_template"] = nullptr;
  results["chat_template_sha"] = nullptr;
  results["total_evaluation_time_seconds"] = python_repr(run.evaluation_seconds);
  if (!run.moe.is_null()) results["moe"] = run.moe;
}

// datetime.isoformat: no fraction where there are no microseconds.
std::string time_text(std::chrono::system_clock::time_point time) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(time);
  const auto microseconds = std::chrono::floor<std::chrono::microseconds>(time - whole).count();
  const std::time_t seconds = std::chrono::system_clock::to_time_t(whole);
  std::tm parts{};
  localtime_r(&seconds, &parts);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                                 parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
  return microseconds == 0 ? text : text + fmt::format(".{:06}", microseconds);
}

}  // namespace

ordered_json results_json(const std::vector<EvaluatedTask>& tasks, const std::vector<TaskGroup>& groups,
                          const RunFacts& run) {
  ordered_json results = {{"results", ordered_json::object()}};
  add_scores(results, tasks, groups);
  add_settings(results, tasks, groups);
  add_run(results, tasks, run);
  return results;
}

std::filesystem::path ResultPaths::samples(const std::string& task) const {
  return folder / ("samples_" + task + "_" + time + ".jsonl");
}

ResultPaths result_paths(const std::filesystem::path& output_path, const std::string& model_name,
                         std::chrono::system_clock::time_point time) {
  const bool names_file = output_path.extension() == ".json";
  ResultPaths paths{.folder = names_file ? output_path.parent_path() : output_path / sanitised(model_name),
                    .results = {},
                    .time = time_text(time)};
  const std::string stem = names_file ? output_path.stem().string() : "results";
  paths.results = paths.folder / (stem + "_" + paths.time + ".json");
  std::error_code error;
  if (!paths.folder.empty()) std::filesystem::create_directories(paths.folder, error);
  if (error) {
    throw TryAgainError(paths.folder.string() + ": the folder cannot be made (" + error.message() +
                        "); choose an output path with write permission");
  }
  return paths;
}

void write_results(const std::filesystem::path& path, const ordered_json& results) {
  AtomicFile file(path);
  file.write(python_json(results, {.ensure_ascii = false, .indent = 2}));
  file.commit();
}

}  // namespace moebench
