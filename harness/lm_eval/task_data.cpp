#include "harness/lm_eval/task_data.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string_view>

#include "harness/cache_folder.h"
#include "harness/content_hash.h"
#include "harness/lm_eval/python_string.h"
#include "harness/lm_eval/wikitext.h"
#include "harness/text/corpus.h"
#include "harness/text/text_file.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored) && !fs::is_directory(path, ignored);
}

std::string as_folder_name(const std::string& name) { return replace_all(lower(name), "-", "_"); }

// Likeliest first.
std::vector<std::string> folder_names(const TaskDefinition& definition) {
  const std::string set = definition.dataset_path.substr(definition.dataset_path.rfind('/') + 1);
  std::vector<std::string> names;
  if (!definition.dataset_name.empty()) {
    names.push_back(as_folder_name(set + "_" + definition.dataset_name));
    names.push_back(as_folder_name(definition.dataset_name));
  }
  names.push_back(as_folder_name(set));
  return names;
}

std::vector<fs::path> data_folders() {
  std::vector<fs::path> folders;
  if (const fs::path data = folder_from_environment("MOEBENCH_DATA"); !data.empty()) folders = {data, data / "tasks"};
  folders.push_back(cache_folder() / "tasks");
  return folders;
}

fs::path find_split(const TaskDefinition& definition, const std::string& split) {
  std::string looked_in;
  for (const fs::path& folder : data_folders()) {
    for (const std::string& name : folder_names(definition)) {
      for (const char* ending : {".jsonl", ".jsonl.gz"}) {
        const fs::path path = folder / name / (split + ending);
        if (is_file(path)) return path;
      }
      looked_in += " " + (folder / name).string();
    }
  }
  throw std::runtime_error("task " + definition.task + ": no " + split + ".jsonl of " + definition.dataset_path +
                           (definition.dataset_name.empty() ? "" : " " + definition.dataset_name) + " in" + looked_in +
                           "; give its folder with --data or run scripts/fetch tasks");
}

// The one file of a split that data_files name; a file or list without splits is the split "train".
fs::path named_file(const TaskDefinition& definition, const std::string& split) {
  Json files = definition.data_files;
  if (!files.is_object()) files = Json{{"train", files}};
  Json file = files.value(split, Json());
  if (file.is_array() && file.size() == 1) file = file[0];
  if (!file.is_string()) {
    throw std::runtime_error("task " + definition.task +
                             ": dataset_kwargs has no data_files with one file for the split '" + split + "'");
  }
  const fs::path path = file.get<std::string>(), beside = definition.folder / path;
  return is_file(beside) ? beside : path;
}

Json parse_line(const std::string& path, int64_t number, std::string_view line) {
  Json document = Json::parse(line, nullptr, false);
  if (!document.is_object()) {
    throw std::runtime_error(path + ":" + std::to_string(number) +
                             ": is not a JSON object; every line must be one document");
  }
  return document;
}

TaskFiles::File read_whole(const fs::path& path) {
  TaskFiles::File file{.text = read_text_file(path)};
  file.content_hash = content_hash(std::string_view(file.text));
  return file;
}

// wants: whether a line is of the task, as far as its bytes tell.
template <class Wants>
TaskSplit parse_lines(const fs::path& path, const TaskFiles::File& file, Wants wants) {
  TaskSplit split{.path = path.string(), .content_hash = file.content_hash};
  std::string_view rest = file.text;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const bool is_blank = line.find_first_not_of(" \t\r") == std::string_view::npos;
    if (!is_blank && wants(line)) split.documents.push_back(parse_line(split.path, number, line));
  }
  return split;
}

TaskSplit read_wikitext(const std::string& split) {
  const fs::path path = find_text(split == "test" ? "wikitext2" : "wikitext2-" + split);
  const TaskFiles::File file = read_whole(path);
  TaskSplit pages{.path = path.string(), .content_hash = file.content_hash};
  for (std::string& page : wikitext_pages(file.text)) pages.documents.push_back({{"page", std::move(page)}});
  return pages;
}

// MMLU in one file has the subject in a field of each document. Most lines are of other subjects, which shows without
// parsing them.
TaskSplit parse_mmlu(const fs::path& path, const TaskFiles::File& file, const std::string& subject) {
  const std::string field = "\"subject\"", value = '"' + subject + '"';
  const std::boyer_moore_horspool_searcher find_field(field.begin(), field.end()),
      find_value(value.begin(), value.end());
  const auto has = [](std::string_view line, const auto& searcher) {
    return std::search(line.begin(), line.end(), searcher) != line.end();
  };
  TaskSplit split =
      parse_lines(path, file, [&](std::string_view line) { return has(line, find_value) || !has(line, find_field); });
  std::erase_if(split.documents,
                [&](const Json& document) { return document.value("subject", Json(subject)) != subject; });
  return split;
}

// Only MMLU's files are of several tasks.
TaskSplit read_file(const TaskDefinition& definition, const std::string& split, TaskFiles& files) {
  const std::string& set = definition.dataset_path;
  if (set == "cais/mmlu") {
    const fs::path path = find_split(definition, split);
    return parse_mmlu(path, files.read(path), definition.dataset_name);
  }
  const fs::path path = set == "json" || set == "jsonl" ? named_file(definition, split) : find_split(definition, split);
  return parse_lines(path, read_whole(path), [](std::string_view) { return true; });
}

}  // namespace

const TaskFiles::File& TaskFiles::read(const fs::path& path) {
  const auto known = files_.find(path);
  return known != files_.end() ? known->second : files_.emplace(path, read_whole(path)).first->second;
}

TaskSplit read_task_split(const TaskDefinition& definition, const std::string& split, TaskFiles& files) {
  if (definition.dataset_path == "EleutherAI/wikitext_document_level") return read_wikitext(split);
  TaskSplit read = read_file(definition, split, files);
  if (read.documents.empty()) {
    throw std::runtime_error("task " + definition.task + ": " + read.path + " has no documents for it");
  }
  return read;
}

}  // namespace moebench
