#include "harness/scoring/downstream_tasks.h"

#include <algorithm>
#include <stdexcept>

#include "harness/lm_eval/task_data.h"
#include "harness/options.h"

namespace moebench {
namespace {

// The library by itself would compare a near miss with its own names alone. Patterns are its to judge.
void refuse_unknown(const std::vector<std::string>& tasks, std::vector<std::string> names,
                    const std::vector<std::string>& other_names) {
  names.insert(names.end(), other_names.begin(), other_names.end());
  for (const std::string& task : tasks) {
    const bool is_pattern = task.find_first_of("*?[") != std::string::npos;
    if (!is_pattern && std::find(names.begin(), names.end(), task) == names.end()) {
      throw std::invalid_argument(unknown_name_message("task", task, names));
    }
  }
}

// A task that only stands in a group's file has nothing but what it says there.
int64_t own_fewshot(const TaskLibrary& library, const std::vector<std::string>& names, const TaskDefinition& task) {
  const bool is_known = std::find(names.begin(), names.end(), task.task) != names.end();
  return (is_known ? library.select({task.task}).tasks.at(0) : task).num_fewshot.value_or(0);
}

}  // namespace

DownstreamTasks select_downstream_tasks(const DownstreamChoice& choice, const std::vector<std::string>& other_names) {
  TaskLibrary library;
  if (!choice.include_path.empty()) library.add_folder(choice.include_path);
  const std::vector<std::string> names = library.names();
  refuse_unknown(choice.tasks, names, other_names);
  DownstreamTasks selected{.selection = library.select(choice.tasks)};
  check_scoring(selected.selection);
  for (const TaskDefinition& task : selected.selection.tasks) {
    selected.own_fewshot.push_back(own_fewshot(library, names, task));
  }
  return selected;
}

std::vector<TaskDocuments> build_documents(const TaskSelection& selection, const DownstreamChoice& choice) {
  TaskFiles files;
  std::vector<TaskDocuments> documents;
  for (const TaskDefinition& definition : selection.tasks) {
    documents.push_back(build_documents(definition, choice.num_fewshot, choice.limit, kFewshotSeed, files));
  }
  return documents;
}

TaskEvaluation evaluate_task(const LlamaModel& model, const Tokenizer& tokenizer, const TaskDefinition& definition,
                             const TaskDocuments& documents, AnswerSettings settings) {
  if (settings.max_length == 0) settings.max_length = model.config().max_position_embeddings;
  settings.generation_kwargs = definition.generation_kwargs;
  Answers answers = answer(model, tokenizer, definition.output_type, documents.documents, settings);
  TaskScore score = score_task(definition, documents.documents, answers.responses);
  return {std::move(answers), std::move(score)};
}

}  // namespace moebench
