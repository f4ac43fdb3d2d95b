#include "results/run_description.h"

#include <algorithm>

namespace moebench {
namespace {

using Json = nlohmann::json;

const Json& member(const Json& json, const char* name) {
  static const Json none;
  if (!json.is_object()) return none;
  const auto found = json.find(name);
  return found == json.end() ? none : *found;
}

void read(const Json& json, const char* name, std::string& value) {
  if (const Json& found = member(json, name); found.is_string()) value = found.get<std::string>();
}
void read(const Json& json, const char* name, double& value) {
  if (const Json& found = member(json, name); found.is_number()) value = found.get<double>();
}
void read(const Json& json, const char* name, int64_t& value) {
  if (const Json& found = member(json, name); found.is_number_integer()) value = found.get<int64_t>();
}
void read(const Json& json, const char* name, bool& value) {
  if (const Json& found = member(json, name); found.is_boolean()) value = found.get<bool>();
}
void read_object(const Json& json, const char* name, Json& value) {
  if (const Json& found = member(json, name); found.is_object()) value = found;
}

CalibrationDescription read_calibration(const Json& json) {
  CalibrationDescription calibration;
  for (const Json& text : member(json, "texts")) {
    if (text.is_string()) calibration.texts.push_back(text.get<std::string>());
  }
  read(json, "windows", calibration.windows);
  read(json, "window", calibration.window);
  read(json, "tokens", calibration.tokens);
  return calibration;
}

// Said by the config; or plain from the names: the text that is measured is among those calibrated on.
bool overlaps(const RunRecord& run, const Json& calibration_json, const CalibrationDescription& calibration) {
  bool said = false;
  read(calibration_json, "overlap", said);
  return said || (run.dataset && std::find(calibration.texts.begin(), calibration.texts.end(), run.dataset->name) !=
                                     calibration.texts.end());
}

void read_retraining(const Json& json, RunDescription& about) {
  read(json, "recipe", about.retrain_recipe);
  read(json, "overlap", about.overlaps_retraining);
  for (const Json& text : member(json, "texts")) {
    if (text.is_string()) about.retrain_texts.push_back(text.get<std::string>());
  }
}

Json calibration_key(const std::optional<CalibrationDescription>& calibration) {
  if (!calibration) return nullptr;
  return {calibration->texts, calibration->windows, calibration->window, calibration->tokens};
}

void read_identity(const RunRecord& run, RunDescription& about) {
  const Json& identity = member(run.config, "identity");
  const bool is_conversion = run.stage == "convert";
  const Json& conversion = is_conversion ? identity : member(identity, "conversion");
  if (conversion.is_object()) {
    about.identity = conversion;
    about.identity.erase("seed");
  } else if (const Json& model = member(identity, "model"); !model.is_null()) {
    about.identity["model"] = model;
  }
  // A conversion knows the tokenizer if it has read text; a measurement does.
  for (const Json& holder : {member(conversion, "calibration"), identity}) {
    if (const Json& tokenizer = member(holder, "tokenizer"); !tokenizer.is_null())
      about.identity["tokenizer"] = tokenizer;
  }
  if (is_conversion) return;
  const Json& retraining = run.stage == "retrain" ? identity : member(identity, "retraining");
  if (retraining.is_object()) {
    about.identity["retraining"] = retraining;
    about.identity["retraining"].erase("conversion");
  }
  if (run.stage == "retrain") return;
  for (const char* field : {"version", "task_data"}) {
    if (const Json& value = member(identity, field); !value.is_null()) about.task_identity[field] = value;
  }
}

std::string conversion_key(const RunDescription& about) {
  Json identity = about.identity;
  identity.erase("tokenizer");  // of a conversion without text it is not known
  identity.erase("retraining");
  return Json{identity,      about.model, about.dtype,        about.method,
              about.options, about.shape, about.active_ratio, calibration_key(about.calibration)}
      .dump();
}

// Of the conversion itself where nothing was retrained.
std::string retraining_key(const std::string& conversion, const RunDescription& about) {
  return Json{conversion, about.retrained_tokens, about.retrain_recipe, about.retrain_texts,
              member(about.identity, "retraining")}
      .dump();
}

// Pointers: a database of a million metrics is held once.
std::vector<const Metric*> index_metrics(const RunRecord& run) {
  std::vector<const Metric*> metrics;
  for (const Metric& metric : run.metrics) metrics.push_back(&metric);
  std::stable_sort(metrics.begin(), metrics.end(), [](const Metric* a, const Metric* b) { return a->name < b->name; });
  const auto is_same = [](const Metric* a, const Metric* b) { return a->name == b->name; };
  metrics.erase(std::unique(metrics.begin(), metrics.end(), is_same), metrics.end());
  return metrics;
}

}  // namespace

std::string RunDescription::parent_key() const {
  return Json{model, dtype, member(identity, "model"), member(identity, "tokenizer")}.dump();
}

RunDescription describe(const RunRecord& run) {
  const Json& config = run.config;
  RunDescription about;
  read(config, "model", about.model);
  read(config, "method", about.method);
  read(config, "dtype", about.dtype);
  read(config, "task", about.task);
  read_object(config, "task_options", about.task_options);
  read_identity(run, about);
  read(config, "retrained_tokens", about.retrained_tokens);
  // Whatever else is said concerns conversions; dense is one where it is made to be retrained.
  if (about.is_dense() && run.stage != "convert") {
    about.active_ratio = 1;
    return about;
  }
  read(config, "shape", about.shape);
  read(config, "router", about.router);
  read(config, "active_ratio", about.active_ratio);
  read_object(config, "options", about.options);
  read_object(config, "changed_options", about.changed_options);
  read_retraining(member(config, "retraining"), about);
  if (const Json& calibration = member(config, "calibration"); calibration.is_object()) {
    about.calibration = read_calibration(calibration);
    about.overlaps_calibration = overlaps(run, calibration, *about.calibration);
  }
  return about;
}

std::vector<DescribedRun> describe_runs(const std::vector<RunRecord>& runs) {
  std::vector<DescribedRun> described;
  for (const RunRecord& run : runs) {
    if (run.stage != "convert" && run.stage != "retrain" && run.stage != "measure") continue;
    const RunDescription about = describe(run);
    const std::string conversion = conversion_key(about);
    const std::string retraining = retraining_key(conversion, about);
    const Json bench = {about.task, about.task_options, about.task_identity};
    described.push_back({.record = &run,
                         .about = about,
                         .conversion_key = conversion,
                         .retraining_key = retraining,
                         .row_key = Json{retraining, about.parent_key(), about.router}.dump(),
                         .bench = run.stage == "convert"   ? kConversionBench
                                  : run.stage == "retrain" ? kRetrainingBench
                                                           : bench.dump(),
                         .by_name = index_metrics(run)});
  }
  return described;
}

}  // namespace moebench
