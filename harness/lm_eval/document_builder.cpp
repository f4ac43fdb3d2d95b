#include "harness/lm_eval/document_builder.h"

#include <algorithm>
#include <memory>
#include <set>
#include <stdexcept>
#include <utility>

#include "harness/content_hash.h"
#include "harness/lm_eval/builtin_functions.h"
#include "harness/lm_eval/document_fields.h"
#include "harness/lm_eval/fewshot_sampler.h"
#include "harness/lm_eval/jinja_value.h"

namespace moebench {
namespace {

using Json = nlohmann::ordered_json;

// What goes wrong inside is said to be about this document.
template <class Action>
auto about(const TaskDefinition& definition, const std::string& split, size_t document, Action action) {
  try {
    return action();
  } catch (const std::exception& error) {
    throw std::runtime_error("task " + definition.task + ": document " + std::to_string(document) + " of " + split +
                             ": " + error.what());
  }
}

// The split's documents after the task's preprocessing.
TaskSplit processed_split(const TaskDefinition& definition, const std::string& split, TaskFiles& files) {
  TaskSplit read = read_task_split(definition, split, files);
  if (definition.process_docs.empty()) return read;
  for (size_t place = 0; place < read.documents.size(); ++place) {
    read.documents[place] = about(definition, split, place, [&] {
      return call_builtin_function(definition.process_docs, read.documents[place]);
    });
  }
  return read;
}

// Where examples come from, unless the task says.
std::string pool_split(const TaskDefinition& definition) {
  for (const std::string& split : {definition.fewshot.split, definition.training_split, definition.validation_split}) {
    if (!split.empty()) return split;
  }
  return definition.test_split;
}

std::set<std::string> field_names(const Json& document) {
  std::set<std::string> names;
  for (auto item = document.begin(); item != document.end(); ++item) names.insert(item.key());
  return names;
}

const std::string& as_text(const Json& value, const char* what) {
  if (!value.is_string()) throw std::runtime_error(std::string(what) + ": must give a text here, not " + value.dump());
  return value.get_ref<const std::string&>();
}

const std::string& chosen(const std::vector<std::string>& choices, const Json& place) {
  const auto index = place.get<int64_t>();
  if (index < 0 || index >= static_cast<int64_t>(choices.size())) {
    throw std::runtime_error("label " + std::to_string(index) + " is none of the " + std::to_string(choices.size()) +
                             " choices");
  }
  return choices[static_cast<size_t>(index)];
}

// The examples before the documents of a task.
class Examples {
 public:
  Examples(const TaskDefinition& definition, const TaskSplit& evaluated, int64_t num_fewshot, uint64_t seed,
           TaskFiles& files)
      : definition_(definition), split_(definition.fewshot.samples.empty() ? pool_split(definition) : "samples") {
    if (num_fewshot == 0) return;
    read_pool(evaluated, files);
    const FewshotDefinition& fewshot = definition.fewshot;
    rules_.emplace(fewshot.doc_to_text, fewshot.doc_to_target, fewshot.doc_to_choice,
                   field_names(evaluated.documents.front()));
    texts_.resize(pool_.size());
    // lm-eval compares two names that may both be missing.
    const bool excludes = fewshot.split == definition.test_split;
    try {
      sampler_.emplace(pool_, fewshot.sampler, num_fewshot, excludes, seed);
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("task " + definition.task + ": " + error.what());
    }
  }

  void add_before(EvaluatedDocument& built) {
    if (!sampler_) return;
    for (const size_t place : sampler_->sample(built.doc)) {
      if (!texts_[place]) {
        texts_[place] = about(definition_, split_, place,
                              [&] { return std::make_shared<const std::string>(example(pool_[place])); });
      }
      built.before.push_back(texts_[place]);
    }
  }

  std::string data_hash;  // of the pool's file; empty if it is the evaluated one or there is none

 private:
  void read_pool(const TaskSplit& evaluated, TaskFiles& files) {
    if (!definition_.fewshot.samples.empty()) {
      pool_ = definition_.fewshot.samples;
    } else if (split_ == evaluation_split(definition_)) {
      pool_ = evaluated.documents;
    } else {
      TaskSplit split = processed_split(definition_, split_, files);
      pool_ = std::move(split.documents);
      data_hash = split.content_hash;
    }
  }

  std::string example(const Json& document) const {
    Json question = rules_->text(document);
    const Json answer = rules_->target(document);
    std::vector<std::string> choices = rules_->choices(document);
    if (question.is_number_integer()) {  // the choices are contexts, the answer is a text
      question = chosen(choices, question);
      choices.clear();
    }
    std::string text = as_text(question, "doc_to_text");
    if (answer.is_null() || answer == "") return text;
    text += definition_.fewshot.target_delimiter;
    if (answer.is_number_integer() && !choices.empty()) {
      text += chosen(choices, answer);
    } else {
      text += as_text(answer.is_array() && !answer.empty() ? answer[0] : answer, "doc_to_target");
    }
    return text + definition_.fewshot.fewshot_delimiter;
  }

  const TaskDefinition& definition_;
  std::string split_;
  std::vector<Json> pool_;
  std::vector<std::shared_ptr<const std::string>> texts_;  // of the pool's documents, made when first drawn
  std::optional<DocumentRules> rules_;
  std::optional<FewshotSampler> sampler_;
};

// Requests of one document after another.
class Builder {
 public:
  Builder(const TaskDefinition& definition, const std::set<std::string>& fields)
      : definition_(definition),
        rules_(definition.doc_to_text, definition.doc_to_target, definition.doc_to_choice, fields) {
    if (!definition.description.empty()) description_.emplace(definition.description);
  }

  EvaluatedDocument build(size_t place, const Json& document, Examples& examples) const {
    const Json text = rules_.text(document), target = rules_.target(document);
    EvaluatedDocument built{.doc_id = static_cast<int64_t>(place),
                            .doc = document,
                            .target = python_str(target),
                            .choices = rules_.choices(document),
                            .cluster = cluster(document)};
    if (description_) built.before.push_back(std::make_shared<const std::string>(description(document)));
    examples.add_before(built);
    switch (definition_.output_type) {
      case OutputType::kMultipleChoice:
        add_choices(built, text, target);
        break;
      case OutputType::kLoglikelihood:
        built.instances = {{as_text(text, "doc_to_text"), as_text(target, "doc_to_target")}};
        break;
      case OutputType::kLoglikelihoodRolling:
        built.before.clear();
        built.instances = {{"", as_text(target, "doc_to_target")}};
        break;
      case OutputType::kGenerateUntil:
        built.instances = {{as_text(text, "doc_to_text"), ""}};
        break;
    }
    return built;
  }

 private:
  std::string description(const Json& document) const {
    const auto field = document.find(definition_.description);
    return field == document.end() ? description_->render(document) : as_text(*field, "description");
  }

  std::string cluster(const Json& document) const {
    const auto field = document.find(definition_.cluster);
    return field == document.end() ? "" : python_str(*field);
  }

  // A text that is a number chooses among contexts, which all have the target behind them.
  void add_choices(EvaluatedDocument& built, const Json& text, const Json& target) const {
    const bool has_many_contexts = text.is_number_integer();
    built.gold = gold(has_many_contexts ? text : target, built.choices);
    for (const std::string& choice : built.choices) {
      built.instances.push_back(has_many_contexts
                                    ? Instance{choice, definition_.target_delimiter + as_text(target, "doc_to_target")}
                                    : Instance{as_text(text, "doc_to_text"), definition_.target_delimiter + choice});
    }
  }

  static int64_t gold(const Json& label, const std::vector<std::string>& choices) {
    if (label.is_number_integer()) {
      chosen(choices, label);
      return label.get<int64_t>();
    }
    for (size_t place = 0; place < choices.size(); ++place) {
      if (label == choices[place]) return static_cast<int64_t>(place);
    }
    throw std::runtime_error("label " + label.dump() + " is none of the choices");
  }

  const TaskDefinition& definition_;
  DocumentRules rules_;
  std::optional<JinjaTemplate> description_;
};

// A task that says 0 keeps to it; a rolling text has nothing before it.
int64_t used_fewshot(const TaskDefinition& definition, std::optional<int64_t> asked) {
  if (asked.value_or(0) < 0) throw std::invalid_argument("num-fewshot: must not be negative");
  const bool takes_none = definition.num_fewshot == 0 || definition.output_type == OutputType::kLoglikelihoodRolling;
  return takes_none ? 0 : asked.value_or(definition.num_fewshot.value_or(0));
}

}  // namespace

TaskDocuments build_documents(const TaskDefinition& definition, std::optional<int64_t> num_fewshot,
                              std::optional<int64_t> limit, uint64_t fewshot_seed) {
  TaskFiles files;
  return build_documents(definition, num_fewshot, limit, fewshot_seed, files);
}

TaskDocuments build_documents(const TaskDefinition& definition, std::optional<int64_t> num_fewshot,
                              std::optional<int64_t> limit, uint64_t fewshot_seed, TaskFiles& files) {
  if (limit.value_or(1) < 1) throw std::invalid_argument("limit: must be at least 1 document");
  const int64_t shots = used_fewshot(definition, num_fewshot);
  const std::string split_name = evaluation_split(definition);
  const TaskSplit split = processed_split(definition, split_name, files);
  Examples examples(definition, split, shots, fewshot_seed, files);
  const Builder builder =
      about(definition, split_name, 0, [&] { return Builder(definition, field_names(split.documents.front())); });
  TaskDocuments built{.num_available = static_cast<int64_t>(split.documents.size()), .num_fewshot = shots};
  const auto count = static_cast<size_t>(std::min(built.num_available, limit.value_or(built.num_available)));
  for (size_t place = 0; place < count; ++place) {
    built.documents.push_back(
        about(definition, split_name, place, [&] { return builder.build(place, split.documents[place], examples); }));
  }
  built.data_hash = examples.data_hash.empty()
                        ? split.content_hash
                        : content_hash(std::string_view(split.content_hash + examples.data_hash));
  return built;
}

}  // namespace moebench
