#include "harness/lm_eval/task_library.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include <fnmatch.h>

#include "harness/lm_eval/builtin_task_files.h"
#include "harness/lm_eval/task_file.h"
#include "harness/options.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const std::vector<std::string> kGroupKeys = {"group", "group_alias", "task", "aggregate_metric_list", "metadata"};

std::vector<std::string> texts(const Json& value, const std::string& where) {
  std::vector<std::string> texts;
  for (const Json& item : value.is_array() || value.is_null() ? value : Json::array({value})) {
    if (!item.is_string()) throw std::runtime_error(where + ": 'tag' must be a text or a list of texts");
    texts.push_back(item.get<std::string>());
  }
  return texts;
}

Json overridden(Json config, const Json& overrides) {
  for (auto item = overrides.begin(); item != overrides.end(); ++item) config[item.key()] = *item;
  return config;
}

bool is_group(const Json& config) { return config.contains("group") && config["group"].is_string(); }

}  // namespace

TaskLibrary::TaskLibrary() {
  for (const auto& [name, text] : builtin_task_files()) add_file(read_builtin_task_file(name), "built-in " + name, {});
}

void TaskLibrary::add_folder(const fs::path& folder) {
  if (!fs::is_directory(folder)) throw std::runtime_error("task files: " + folder.string() + " is not a folder");
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) add_file(read_task_file(file), file.string(), file.parent_path());
}

// A file without a name for its task is there to be included.
void TaskLibrary::add_file(const Json& config, const std::string& where, const fs::path& folder) {
  if (config.contains("task_list")) {
    Json shared = config;
    shared.erase("task_list");
    for (const Json& own : config["task_list"]) {
      if (!own.is_object() || own.contains("task_list")) {
        throw std::runtime_error(where + ": 'task_list' must be a list of mappings");
      }
      add_file(overridden(shared, own), where, folder);
    }
    return;
  }
  const Json name = is_group(config) ? config["group"] : config.value("task", Json());
  if (!name.is_string()) return;
  entries_[name.get<std::string>()] = {config, where, folder};
  for (const std::string& tag : texts(config.value("tag", Json()), where)) {
    std::vector<std::string>& tagged = tags_[tag];
    if (std::find(tagged.begin(), tagged.end(), name) == tagged.end()) tagged.push_back(name.get<std::string>());
    std::sort(tagged.begin(), tagged.end());
  }
}

std::vector<std::string> TaskLibrary::names() const {
  std::set<std::string> names;
  for (const auto& [name, entry] : entries_) names.insert(name);
  for (const auto& [name, tasks] : tags_) names.insert(name);
  return {names.begin(), names.end()};
}

// Follows names to tasks.
class TaskLibrary::Selecting {
 public:
  explicit Selecting(const TaskLibrary& library) : library_(library) {}

  // overrides: keys of the groups above, which go before the task's own. Returns the names that stand for it in a
  // group.
  std::vector<std::string> add(const std::string& name, const Json& overrides) {
    const auto entry = library_.entries_.find(name);
    if (entry == library_.entries_.end()) return add_tag(name, overrides);
    if (is_group(entry->second.config)) {
      add_group(entry->second.config, entry->second, overrides);
    } else {
      add_task(overridden(entry->second.config, overrides), entry->second);
    }
    return {name};
  }

  TaskSelection selection;

 private:
  std::vector<std::string> add_tag(const std::string& name, const Json& overrides) {
    const auto tag = library_.tags_.find(name);
    if (tag == library_.tags_.end()) {
      throw std::invalid_argument(unknown_name_message("task", name, library_.names()));
    }
    for (const std::string& task : tag->second) add(task, overrides);
    return tag->second;
  }

  void add_task(Json config, const Entry& entry) {
    TaskDefinition definition = parse_task_definition(config, entry.where, entry.folder);
    for (const TaskDefinition& known : selection.tasks) {
      if (known.task != definition.task) continue;
      if (known.config == definition.config) return;
      throw std::invalid_argument("task " + known.task + ": is asked for twice, with different settings");
    }
    selection.tasks.push_back(std::move(definition));
  }

  // In the selection's groups; a group that is asked for twice stands there once.
  size_t place_of(TaskGroup group) {
    auto& groups = selection.groups;
    const auto found =
        std::find_if(groups.begin(), groups.end(), [&](auto& known) { return known.name == group.name; });
    const auto place = static_cast<size_t>(found - groups.begin());
    if (found == groups.end()) groups.emplace_back();
    groups[place] = std::move(group);
    return place;
  }

  void add_group(const Json& config, const Entry& entry, const Json& overrides) {
    const std::string name = config["group"].get<std::string>();
    if (!open_.insert(name).second) throw std::runtime_error(entry.where + ": group " + name + " is inside itself");
    const Json alias = config.value("group_alias", Json(name));
    const size_t place = place_of({.name = name,
                                   .alias = alias.is_string() ? alias.get<std::string>() : name,
                                   .aggregate_metric_list = config.value("aggregate_metric_list", Json()),
                                   .version = config.value("metadata", Json::object()).value("version", Json())});
    Json inner = Json::object();  // what the group says of its tasks
    for (auto item = config.begin(); item != config.end(); ++item) {
      const bool is_own = std::find(kGroupKeys.begin(), kGroupKeys.end(), item.key()) != kGroupKeys.end();
      if (!is_own) inner[item.key()] = *item;
    }
    inner = overridden(inner, overrides);
    const Json members = config.value("task", Json());
    for (const Json& member : members.is_array() ? members : Json::array({members})) {
      for (std::string& added : add_member(member, entry, inner)) {
        selection.groups[place].members.push_back(std::move(added));
      }
    }
    open_.erase(name);
  }

  // A name, or a mapping with a name and keys that go before the task's own; or a task or group of its own.
  std::vector<std::string> add_member(const Json& member, const Entry& entry, const Json& overrides) {
    if (member.is_string()) return add(member.get<std::string>(), overrides);
    const char* key = member.is_object() && member.contains("group") ? "group" : "task";
    if (!member.is_object() || !member.contains(key) || !member[key].is_string()) {
      throw std::runtime_error(entry.where + ": a member of a group must be a name or a mapping with 'task'");
    }
    const std::string name = member[key].get<std::string>();
    const bool is_known = library_.entries_.contains(name) || library_.tags_.contains(name);
    if (!is_known && is_group(member)) {
      add_group(member, entry, overrides);
      return {name};
    }
    Json own = overridden(overrides, member);
    own.erase(key);
    if (is_known) return add(name, own);
    own["task"] = name;
    add_task(own, entry);
    return {name};
  }

  const TaskLibrary& library_;
  std::set<std::string> open_;  // groups around what is added
};

TaskSelection TaskLibrary::select(const std::vector<std::string>& names) const {
  Selecting selecting(*this);
  for (const std::string& name : names) {
    if (name.find_first_of("*?[") == std::string::npos) {
      selecting.add(name, Json::object());
      continue;
    }
    bool matches_any = false;
    for (const std::string& known : this->names()) {
      if (fnmatch(name.c_str(), known.c_str(), 0) != 0) continue;
      matches_any = true;
      selecting.add(known, Json::object());
    }
    if (!matches_any) throw std::invalid_argument("no task matches '" + name + "'; moebench tasks lists them");
  }
  return std::move(selecting.selection);
}

}  // namespace moebench
