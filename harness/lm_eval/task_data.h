// The documents of a task's data set, from files of the user's or of the cache; nothing is fetched here.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/lm_eval/task_definition.h"

namespace moebench {

struct TaskSplit {
  std::vector<nlohmann::ordered_json> documents;  // as in the file; objects
  std::string path;
  std::string content_hash;  // of the file's bytes, decompressed
};

// Files that several tasks take their documents from, for as long as they are being read.
class TaskFiles {
 public:
  struct File {
    std::string text, content_hash;  // decompressed
  };

  // Throws std::runtime_error if it cannot be read.
  const File& read(const std::filesystem::path& path);

 private:
  std::map<std::filesystem::path, File> files_;
};

// Where: dataset_path json or jsonl means the definition's data_files, beside the task file or from the working folder.
// Another data set is looked for as <folder>/<split>.jsonl or .jsonl.gz in $MOEBENCH_DATA (which --data sets), its
// tasks/, and the tasks/ of the cache; <folder> is made of the data set's names in lower case ("aps/super_glue" "copa":
// super_glue_copa, copa or super_glue). Of one file for all MMLU subjects the task's own are taken. WikiText-2's pages
// are made of the raw text that find_text finds. Lines are split at '\n' only. Throws std::runtime_error: nowhere to be
// found (with the places), a line that is not a JSON object (file:line), no documents. files: keeps what other
// tasks read, too.
TaskSplit read_task_split(const TaskDefinition& definition, const std::string& split, TaskFiles& files);

}  // namespace moebench
