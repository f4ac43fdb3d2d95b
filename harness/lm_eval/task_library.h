// Tasks, groups and tags by name: the built-in ones (tasks/definitions) and those of the user's folders.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/lm_eval/task_definition.h"

namespace moebench {

struct TaskGroup {
  std::string name, alias;                       // alias: the name if the file gives none
  std::vector<std::string> members;              // tasks and groups, in the file's order
  nlohmann::ordered_json aggregate_metric_list;  // null: nothing is aggregated
  nlohmann::ordered_json version;                // of metadata; null: none
};

// What was asked for, in that order, every task once; groups before their subgroups.
struct TaskSelection {
  std::vector<TaskDefinition> tasks;
  std::vector<TaskGroup> groups;
};

class TaskLibrary {
 public:
  TaskLibrary();

  // The .yaml files of a folder and its subfolders; files whose name begins with '_' serve as includes or hold groups.
  // A name that is known already is replaced. Throws std::runtime_error for a file that is wrong.
  void add_folder(const std::filesystem::path& folder);

  // Names of tasks, groups and tags, sorted.
  std::vector<std::string> names() const;

  // names: tasks, groups, tags or globs of them ("mmlu_*"). Throws std::invalid_argument ("did you mean") for an
  // unknown name or a task that is asked for twice with different settings.
  TaskSelection select(const std::vector<std::string>& names) const;

 private:
  struct Entry {
    nlohmann::ordered_json config;
    std::string where;
    std::filesystem::path folder;
  };
  class Selecting;

  void add_file(const nlohmann::ordered_json& config, const std::string& where, const std::filesystem::path& folder);

  std::map<std::string, Entry> entries_;                  // tasks and groups
  std::map<std::string, std::vector<std::string>> tags_;  // → tasks
};

}  // namespace moebench
