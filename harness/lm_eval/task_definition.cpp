#include "harness/lm_eval/task_definition.h"

#include <algorithm>
#include <stdexcept>

#include "harness/lm_eval/builtin_functions.h"
#include "harness/options.h"

namespace moebench {
namespace {

using Json = nlohmann::ordered_json;

// lm-eval's TaskConfig, in its order.
const std::vector<std::string> kKeys = {"task",
                                        "task_alias",
                                        "tag",
                                        "dataset_path",
                                        "dataset_name",
                                        "dataset_kwargs",
                                        "training_split",
                                        "validation_split",
                                        "test_split",
                                        "fewshot_split",
                                        "process_docs",
                                        "doc_to_text",
                                        "doc_to_target",
                                        "unsafe_code",
                                        "doc_to_choice",
                                        "process_results",
                                        "description",
                                        "target_delimiter",
                                        "fewshot_delimiter",
                                        "fewshot_config",
                                        "num_fewshot",
                                        "metric_list",
                                        "output_type",
                                        "generation_kwargs",
                                        "repeats",
                                        "filter_list",
                                        "should_decontaminate",
                                        "doc_to_decontamination_query",
                                        "metadata"};
const std::vector<std::string> kForeignKeys = {"custom_dataset", "doc_to_image", "doc_to_audio",
                                               "use_prompt",     "gen_prefix",   "class"};
const std::vector<std::string> kFewshotKeys = {"sampler",         "split",         "process_docs",  "samples",
                                               "doc_to_text",     "doc_to_choice", "doc_to_target", "fewshot_delimiter",
                                               "target_delimiter"};

bool is_in(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// The keys of one mapping of a task file.
class Fields {
 public:
  Fields(const Json& fields, std::string where) : fields_(fields), where_(std::move(where)) {}

  [[noreturn]] void fail(const std::string& key, const std::string& what) const {
    throw std::runtime_error(where_ + ": '" + key + "' " + what);
  }

  void check_keys(const std::vector<std::string>& known) const {
    for (auto item = fields_.begin(); item != fields_.end(); ++item) {
      if (is_in(kForeignKeys, item.key()) && !item->is_null()) fail(item.key(), "of lm-eval is not supported");
      if (!is_in(known, item.key()) && !is_in(kForeignKeys, item.key())) {
        throw std::runtime_error(where_ + ": " + unknown_name_message("key", item.key(), known));
      }
    }
  }

  // Null if the key is missing.
  const Json& get(const std::string& key) const {
    static const Json kNull;
    const auto found = fields_.find(key);
    return found == fields_.end() ? kNull : *found;
  }

  std::string text(const std::string& key, const std::string& if_missing = "") const {
    const Json& value = get(key);
    if (value.is_null()) return if_missing;
    if (!value.is_string()) fail(key, "must be a text, not " + value.dump());
    return value.get<std::string>();
  }

  std::string function(const std::string& key, const std::string& dataset_path) const {
    const Json& value = get(key);
    if (value.is_null()) return "";
    if (!value.is_object() || !value.contains("!function")) fail(key, "must be a !function");
    return function_name(key, value, dataset_path);
  }

  DocumentRule rule(const std::string& key, const std::string& dataset_path) const {
    const Json& value = get(key);
    DocumentRule rule{.is_given = !value.is_null()};
    if (value.is_object() && value.contains("!function")) {
      rule.function = function_name(key, value, dataset_path);
    } else if (value.is_string()) {
      rule.source = value.get<std::string>();
    } else if (value.is_object()) {  // lm-eval takes a dict's values
      for (const Json& item : value) rule.constant.push_back(item);
    } else {
      rule.constant = value;
    }
    const bool is_list = rule.constant.is_array() && std::all_of(rule.constant.begin(), rule.constant.end(),
                                                                 [](auto& item) { return item.is_string(); });
    if (!rule.constant.is_null() && !rule.constant.is_number_integer() && !is_list) {
      fail(key, "must be a text, a whole number, a list of texts or a !function, not " + value.dump());
    }
    return rule;
  }

 private:
  std::string function_name(const std::string& key, const Json& value, const std::string& dataset_path) const {
    try {
      return builtin_function_name(value["!function"].get<std::string>(), dataset_path);
    } catch (const std::runtime_error& error) {
      fail(key, error.what());
    }
  }

  const Json& fields_;
  std::string where_;
};

OutputType parse_output_type(const Fields& fields) {
  const std::string name = fields.text("output_type", "generate_until");
  if (name == "multiple_choice") return OutputType::kMultipleChoice;
  if (name == "loglikelihood") return OutputType::kLoglikelihood;
  if (name == "loglikelihood_rolling") return OutputType::kLoglikelihoodRolling;
  if (name == "generate_until") return OutputType::kGenerateUntil;
  fields.fail("output_type",
              "is '" + name + "'; known: multiple_choice loglikelihood loglikelihood_rolling generate_until");
}

Json default_metrics(OutputType type) {
  switch (type) {
    case OutputType::kMultipleChoice:
      return {{{"metric", "acc"}}, {{"metric", "acc_norm"}}};
    case OutputType::kLoglikelihood:
      return {{{"metric", "perplexity"}}, {{"metric", "acc"}}};
    case OutputType::kLoglikelihoodRolling:
      return {{{"metric", "word_perplexity"}}, {{"metric", "byte_perplexity"}}, {{"metric", "bits_per_byte"}}};
    case OutputType::kGenerateUntil:
      break;
  }
  return Json::array({{{"metric", "exact_match"}}});
}

// A list of mappings; null stays null.
Json mappings(const Fields& fields, const std::string& key, const char* must_have) {
  const Json& list = fields.get(key);
  if (list.is_null()) return list;
  const bool is_right = list.is_array() && std::all_of(list.begin(), list.end(), [&](const Json& item) {
                          return item.is_object() && item.contains(must_have) && item[must_have].is_string();
                        });
  if (!is_right) fields.fail(key, std::string("must be a list of mappings, each with '") + must_have + "'");
  return list;
}

constexpr int64_t kMostNewTokens = 1 << 20;

Json generation_kwargs(const Fields& fields, const TaskDefinition& definition) {
  if (definition.output_type != OutputType::kGenerateUntil) return nullptr;
  Json kwargs = fields.get("generation_kwargs");
  const Json stop = Json::array({definition.fewshot.fewshot_delimiter});
  if (kwargs.is_null()) return {{"temperature", 0.0}, {"do_sample", false}, {"max_gen_toks", 256}, {"until", stop}};
  if (!kwargs.is_object()) fields.fail("generation_kwargs", "must be a mapping");
  if (!kwargs.contains("until")) kwargs["until"] = stop;
  if (kwargs["until"].is_string()) kwargs["until"] = Json::array({kwargs["until"]});
  const Json& until = kwargs["until"];
  const bool are_texts =
      until.is_array() && std::all_of(until.begin(), until.end(), [](const Json& text) { return text.is_string(); });
  if (!are_texts) fields.fail("generation_kwargs", "has an until that is neither a text nor a list of texts");
  const Json max_tokens = kwargs.value("max_gen_toks", Json(256));
  if (!max_tokens.is_number_integer() || max_tokens < 1 || max_tokens > kMostNewTokens) {
    fields.fail("generation_kwargs",
                "has a max_gen_toks that is not a whole number from 1 to " + std::to_string(kMostNewTokens));
  }
  const Json temperature = kwargs.value("temperature", Json(0.0));
  if (temperature.is_number() && kwargs.contains("temperature")) kwargs["temperature"] = temperature.get<double>();
  if (temperature != 0 || kwargs.value("do_sample", Json(false)) != false) {
    fields.fail("generation_kwargs", "asks for sampling; only greedy generation is supported");
  }
  return kwargs;
}

// fewshot_config, whose missing keys are the task's own.
void parse_fewshot(const Fields& task, const std::string& where, TaskDefinition& definition) {
  static const Json kNone = Json::object();
  const Json& config = task.get("fewshot_config");
  if (!config.is_null() && !config.is_object()) task.fail("fewshot_config", "must be a mapping");
  const Fields fields(config.is_null() ? kNone : config, where + ": fewshot_config");
  fields.check_keys(kFewshotKeys);
  FewshotDefinition& fewshot = definition.fewshot;
  fewshot.sampler = fields.text("sampler", "default");
  if (fewshot.sampler != "default" && fewshot.sampler != "first_n") {
    fields.fail("sampler", "is '" + fewshot.sampler + "'; known: default first_n");
  }
  if (fields.function("process_docs", definition.dataset_path) != "") {
    fields.fail("process_docs", "of its own is not supported; the task's is used");
  }
  fewshot.split = fields.text("split", task.text("fewshot_split"));
  fewshot.target_delimiter = fields.text("target_delimiter", definition.target_delimiter);
  fewshot.fewshot_delimiter = fields.text("fewshot_delimiter", task.text("fewshot_delimiter", "\n\n"));
  for (const auto& [key, rule, of_task] : {std::tuple{"doc_to_text", &fewshot.doc_to_text, &definition.doc_to_text},
                                           {"doc_to_target", &fewshot.doc_to_target, &definition.doc_to_target},
                                           {"doc_to_choice", &fewshot.doc_to_choice, &definition.doc_to_choice}}) {
    *rule = fields.rule(key, definition.dataset_path);
    if (!rule->is_given) *rule = *of_task;
  }
  const Json& samples = fields.get("samples");
  if (!samples.is_null() && !samples.is_array()) fields.fail("samples", "must be a list of documents");
  for (const Json& sample : samples) fewshot.samples.push_back(sample);
}

void parse_metadata(const Fields& fields, TaskDefinition& definition) {
  const Json& metadata = fields.get("metadata");
  if (metadata.is_null()) return;
  if (!metadata.is_object()) fields.fail("metadata", "must be a mapping");
  definition.version = metadata.value("version", Json());
  const Json cluster = metadata.value("cluster", Json(""));
  if (!cluster.is_string()) fields.fail("metadata", "has a 'cluster' that is not a field's name");
  definition.cluster = cluster.get<std::string>();
}

void parse_dataset(const Fields& fields, TaskDefinition& definition) {
  definition.dataset_path = fields.text("dataset_path");
  if (definition.dataset_path.empty()) fields.fail("dataset_path", "is missing");
  definition.dataset_name = fields.text("dataset_name");
  const Json& kwargs = fields.get("dataset_kwargs");
  if (kwargs.is_null()) return;
  if (!kwargs.is_object()) fields.fail("dataset_kwargs", "must be a mapping");
  Fields(kwargs, "dataset_kwargs").check_keys({"data_files", "trust_remote_code"});
  definition.data_files = kwargs.value("data_files", Json());
}

// Functions by their names.
Json shown(const Json& value) { return value.is_object() && value.contains("!function") ? value["!function"] : value; }

Json shown_fewshot_config(const Json& config, const TaskDefinition& definition) {
  const FewshotDefinition& fewshot = definition.fewshot;
  const Json own = config.value("fewshot_config", Json::object());
  const auto rule = [&](const char* key) {
    const Json of_task = config.value(key, Json());
    return shown(own.is_object() && own.contains(key) ? own[key] : of_task);
  };
  return {{"sampler", fewshot.sampler},
          {"split", fewshot.split.empty() ? Json() : Json(fewshot.split)},
          {"process_docs", shown(config.value("process_docs", Json()))},
          {"fewshot_indices", nullptr},
          {"samples", fewshot.samples.empty() ? Json() : Json(fewshot.samples)},
          {"doc_to_text", rule("doc_to_text")},
          {"doc_to_choice", rule("doc_to_choice")},
          {"doc_to_target", rule("doc_to_target")},
          {"gen_prefix", nullptr},
          {"fewshot_delimiter", fewshot.fewshot_delimiter},
          {"target_delimiter", fewshot.target_delimiter}};
}

// Defaults filled in, missing keys left out: what lm-eval's results file lists.
Json shown_config(const Json& config, const TaskDefinition& definition) {
  const Json defaults = {{"unsafe_code", false},
                         {"description", ""},
                         {"target_delimiter", " "},
                         {"fewshot_delimiter", "\n\n"},
                         {"output_type", "generate_until"},
                         {"repeats", 1},
                         {"should_decontaminate", false}};
  Json shown_keys = Json::object();
  for (const std::string& key : kKeys) {
    Json value = shown(config.value(key, Json()));
    if (value.is_null()) value = defaults.value(key, Json());
    if (key == "generation_kwargs") value = definition.generation_kwargs;
    if (key == "fewshot_config") value = shown_fewshot_config(config, definition);
    if (!value.is_null() && key != "tag") shown_keys[key] = value;
  }
  return shown_keys;
}

}  // namespace

TaskDefinition parse_task_definition(const Json& config, const std::string& where,
                                     const std::filesystem::path& folder) {
  const Fields fields(config, where);
  fields.check_keys(kKeys);
  TaskDefinition definition{.task = fields.text("task"), .task_alias = fields.text("task_alias"), .folder = folder};
  if (definition.task.empty()) fields.fail("task", "is missing");
  parse_dataset(fields, definition);
  definition.training_split = fields.text("training_split");
  definition.validation_split = fields.text("validation_split");
  definition.test_split = fields.text("test_split");
  definition.process_docs = fields.function("process_docs", definition.dataset_path);
  definition.process_results = fields.function("process_results", definition.dataset_path);
  definition.output_type = parse_output_type(fields);
  definition.doc_to_text = fields.rule("doc_to_text", definition.dataset_path);
  definition.doc_to_target = fields.rule("doc_to_target", definition.dataset_path);
  definition.doc_to_choice = fields.rule("doc_to_choice", definition.dataset_path);
  definition.description = fields.text("description");
  definition.target_delimiter = fields.text("target_delimiter", " ");
  parse_fewshot(fields, where, definition);
  if (const Json& shots = fields.get("num_fewshot"); !shots.is_null()) {
    if (!shots.is_number_integer() || shots < 0) fields.fail("num_fewshot", "must be 0 or more, not " + shots.dump());
    definition.num_fewshot = shots.get<int64_t>();
  }
  definition.metric_list = mappings(fields, "metric_list", "metric");
  if (definition.metric_list.is_null()) definition.metric_list = default_metrics(definition.output_type);
  definition.filter_list = mappings(fields, "filter_list", "name");
  definition.generation_kwargs = generation_kwargs(fields, definition);
  parse_metadata(fields, definition);
  const bool is_multiple_choice = definition.output_type == OutputType::kMultipleChoice;
  if (is_multiple_choice && !definition.doc_to_choice.is_given) fields.fail("doc_to_choice", "is missing");
  if (!definition.doc_to_text.is_given) fields.fail("doc_to_text", "is missing");
  if (!definition.doc_to_target.is_given) fields.fail("doc_to_target", "is missing");
  if (const Json& repeats = fields.get("repeats"); !repeats.is_null() && repeats != 1) {
    fields.fail("repeats", "must be 1: greedy answers do not differ");
  }
  if (fields.get("unsafe_code") == true) fields.fail("unsafe_code", "is not supported");
  definition.config = shown_config(config, definition);
  return definition;
}

std::string evaluation_split(const TaskDefinition& definition) {
  const std::string& split = definition.test_split.empty() ? definition.validation_split : definition.test_split;
  if (split.empty())
    throw std::runtime_error("task " + definition.task + ": has no test_split and no validation_split");
  return split;
}

}  // namespace moebench
