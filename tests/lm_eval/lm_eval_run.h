// A small run of lm-eval 0.4.13 itself (lm_eval_run.json): its files, and the documents and answers they are of.
#pragma once

#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/lm_eval/results_file.h"

namespace moebench {

inline const nlohmann::ordered_json& lm_eval_run() {
  static const auto run = nlohmann::ordered_json::parse(std::ifstream(MOEBENCH_LM_EVAL_RUN));
  return run;
}

struct AnsweredTask {
  TaskDefinition definition;
  std::vector<EvaluatedDocument> documents;
  std::vector<std::vector<Response>> responses;
};

inline OutputType output_type_named(const std::string& name) {
  if (name == "multiple_choice") return OutputType::kMultipleChoice;
  if (name == "loglikelihood") return OutputType::kLoglikelihood;
  return name == "generate_until" ? OutputType::kGenerateUntil : OutputType::kLoglikelihoodRolling;
}

// resps of one request: [["-1.5", "False"]], ["-1.5"] or ["text"].
inline Response stored_response(OutputType output_type, const nlohmann::ordered_json& stored) {
  const nlohmann::ordered_json& answer = stored.at(0);
  if (output_type == OutputType::kGenerateUntil) return {.text = answer.get<std::string>()};
  if (output_type == OutputType::kLoglikelihoodRolling) return {.loglikelihood = std::stod(answer.get<std::string>())};
  return {.loglikelihood = std::stod(answer.at(0).get<std::string>()), .is_greedy = answer.at(1) == "True"};
}

inline void add_document(const nlohmann::ordered_json& sample, AnsweredTask& task) {
  const OutputType output_type = task.definition.output_type;
  const bool rolling = output_type == OutputType::kLoglikelihoodRolling;
  const bool chooses = output_type == OutputType::kMultipleChoice;
  EvaluatedDocument document{.doc_id = sample.at("doc_id"), .doc = sample.at("doc"), .target = sample.at("target")};
  if (chooses) document.gold = std::stoll(document.target);
  for (const auto& [name, arguments] : sample.at("arguments").items()) {
    const std::string first = arguments.at("arg_0");
    const bool has_text = arguments.contains("arg_1") && arguments["arg_1"].is_string();
    const std::string second = has_text ? arguments["arg_1"].get<std::string>() : "";
    document.instances.push_back({rolling ? "" : first, rolling ? first : second});
    if (chooses) document.choices.push_back(second.substr(1));
  }
  task.documents.push_back(std::move(document));
  std::vector<Response>& responses = task.responses.emplace_back();
  for (const auto& stored : sample.at("resps")) responses.push_back(stored_response(output_type, stored));
}

inline AnsweredTask answered_task(const std::string& name) {
  const nlohmann::ordered_json& config = lm_eval_run().at("tasks").at(name);
  AnsweredTask task;
  task.definition.task = name;
  if (config["task_alias"].is_string()) task.definition.task_alias = config["task_alias"];
  task.definition.output_type = output_type_named(config["output_type"]);
  task.definition.metric_list = config["metric_list"];
  task.definition.filter_list = config["filter_list"];
  task.definition.generation_kwargs = config["generation_kwargs"];
  task.definition.version = lm_eval_run().at("results_file").at("versions").at(name);
  std::string first_filter;
  for (const auto& line : lm_eval_run().at("samples").at(name)) {
    const auto sample = nlohmann::ordered_json::parse(line.get<std::string>());
    if (first_filter.empty()) first_filter = sample.at("filter");
    if (sample.at("filter") == first_filter) add_document(sample, task);
  }
  return task;
}

inline std::vector<TaskGroup> run_groups() {
  const auto accuracy = [](bool weight_by_size) {
    return nlohmann::ordered_json::array({{{"metric", "acc"}, {"weight_by_size", weight_by_size}}});
  };
  return {{"mini", "mini (all)", {"mini_inner", "mini_last_word"}, accuracy(true), 2},
          {"mini_inner", "mini_inner", {"mini_choice", "mini_yes_no"}, accuracy(false), 1}};
}

}  // namespace moebench
