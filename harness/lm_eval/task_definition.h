// One task: what lm-evaluation-harness's TaskConfig says of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/lm_eval/evaluated_document.h"

namespace moebench {

// doc_to_text, doc_to_target or doc_to_choice: at most one of these is set.
struct DocumentRule {
  nlohmann::ordered_json constant;  // an integer or a list of strings; null if it is not one
  std::string source;               // a field's name or a template
  std::string function;             // of builtin_functions.h
  bool is_given = false;            // a source may be empty and given
};

struct FewshotDefinition {
  std::string sampler = "default";              // "default": lm-eval's random draw, "first_n": in the pool's order
  std::string split;                            // empty: training, else validation, else test split
  std::vector<nlohmann::ordered_json> samples;  // instead of a split
  DocumentRule doc_to_text, doc_to_target, doc_to_choice;
  std::string target_delimiter, fewshot_delimiter;
};

struct TaskDefinition {
  std::string task, task_alias;  // alias: empty if none
  std::string dataset_path, dataset_name;
  nlohmann::ordered_json data_files;  // of dataset_kwargs: null, a path, a list, or those by split
  std::filesystem::path folder;       // of the task file; empty: built in
  std::string training_split, validation_split, test_split;  // empty: none
  std::string process_docs;                                  // a built-in function; empty: none
  OutputType output_type = OutputType::kGenerateUntil;
  DocumentRule doc_to_text, doc_to_target, doc_to_choice;
  std::string process_results;  // a built-in function; empty: none
  std::string description, target_delimiter = " ";
  FewshotDefinition fewshot;
  std::optional<int64_t> num_fewshot;        // unset: the command line's, else 0; 0: pinned
  nlohmann::ordered_json metric_list;        // with lm-eval's default where the file has none
  nlohmann::ordered_json generation_kwargs;  // likewise; null unless the task generates
  nlohmann::ordered_json filter_list;        // null: none
  nlohmann::ordered_json version;            // of metadata; null: none
  std::string cluster;                       // of metadata: field that says which documents belong together
  nlohmann::ordered_json config;             // as lm-eval's results file shows it: its keys, defaults filled in
};

// config: the keys of a task file; where: the file, for messages; folder: of the file, empty if it is built in. Throws
// std::runtime_error naming file and key: an unknown key or value, a wrong type, a function that is not built in,
// something that is lm-eval's and not ours.
TaskDefinition parse_task_definition(const nlohmann::ordered_json& config, const std::string& where,
                                     const std::filesystem::path& folder);

// The split that is evaluated: the test split, else the validation split. Throws std::runtime_error if it has neither.
std::string evaluation_split(const TaskDefinition& definition);

}  // namespace moebench
