#include "harness/pipeline/planned_cells.h"

#include <fmt/format.h>

namespace moebench {
namespace {

// Raised whenever a stage computes something else from the same settings; old results are then not reused.
constexpr int kConvertVersion = 2, kMeasureVersion = 1;  // 2: rates tie as in the released CMoE code

// " (refit=true)": what tells cells of one name apart; "" for the defaults.
std::string parenthesised(const nlohmann::json& changed_options) {
  std::string text;
  for (const auto& [name, value] : changed_options.items()) {
    text += (text.empty() ? " (" : ", ") + name + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return text.empty() ? text : text + ")";
}

// "smollm2-135m bfloat16 ": only where there are several models.
std::string model_prefix(const SweepPlan& plan, const ModelSpec& spec) {
  return plan.spec.models.size() > 1 ? spec.path + " " + spec.dtype + " " : "";
}

nlohmann::json model_identity(const ModelSpec& spec, const PlannedModel& model) {
  return {{"weights", model.weights_hash}, {"dtype", spec.dtype}, {"device", spec.device}};
}

// Text, tokenizer, number and length of windows and the seed decide the window ids.
nlohmann::json calibration_identity(const SweepPlan& plan, const PlannedModel& model) {
  nlohmann::json texts = nlohmann::json::array();
  for (const Corpus& corpus : plan.calibration_texts) texts.push_back(corpus.content_hash);
  return {{"texts", texts},
          {"tokenizer", model.tokenizer_hash},
          {"windows", plan.spec.calibration->windows},
          {"window", plan.spec.calibration->window}};
}

nlohmann::json calibration_description(const SweepPlan& plan) {
  const CalibrationSpec& calibration = *plan.spec.calibration;
  nlohmann::json names = nlohmann::json::array();
  for (const Corpus& corpus : plan.calibration_texts) names.push_back(corpus.name);
  const auto domains = static_cast<int64_t>(plan.calibration_texts.size());
  return {{"texts", names},
          {"windows", calibration.windows},
          {"window", calibration.window},
          {"tokens", domains * calibration.windows * calibration.window}};
}

}  // namespace

SweepCell conversion_cell(const SweepPlan& plan, const ModelSpec& spec, const PlannedModel& model,
                          const ConversionPoint& point) {
  SweepCell cell;
  cell.stage = "convert";
  cell.label = fmt::format("{}{} {}{} seed {}", model_prefix(plan, spec), point.method->name, point.shape,
                           parenthesised(point.changed_options), point.seed);
  cell.identity = {{"stage", cell.stage},
                   {"version", kConvertVersion},
                   {"model", model_identity(spec, model)},
                   {"method", point.method->name},
                   {"options", point.options},
                   {"shape", point.shape},
                   {"seed", point.seed}};
  cell.description = {{"model", spec.path},
                      {"dtype", spec.dtype},
                      {"method", point.method->name},
                      {"options", point.options},
                      {"changed_options", point.changed_options},
                      {"shape", point.shape},
                      {"active_ratio", point.active_ratio},
                      {"router", "own"},
                      {"calibration", nullptr},
                      {"retrained_tokens", 0},
                      {"seed", point.seed}};
  if (point.needs_text) {
    cell.identity["calibration"] = calibration_identity(plan, model);
    cell.description["calibration"] = calibration_description(plan);
  }
  return cell;
}

SweepCell measurement_cell(const SweepPlan& plan, const ModelSpec& spec, const PlannedModel& model,
                           const PlannedTask& task, const PlannedConversion* conversion, bool oracle) {
  SweepCell cell;
  cell.stage = "measure";
  cell.error = task.error;
  const std::string task_label = " · " + task.spec.name + parenthesised(task.changed_options);
  const std::string router = oracle ? "oracle" : "own";
  cell.identity = {{"stage", cell.stage},
                   {"version", kMeasureVersion},
                   {"model", model_identity(spec, model)},
                   {"tokenizer", model.tokenizer_hash},
                   {"task", task.spec.name},
                   {"task_options", task.options},
                   {"task_data", task.data_hash}};
  if (conversion == nullptr) {
    cell.label = model_prefix(plan, spec) + "dense" + task_label;
    cell.description = {{"model", spec.path},
                        {"dtype", spec.dtype},
                        {"method", "dense"},
                        {"options", nlohmann::json::object()},
                        {"changed_options", nlohmann::json::object()},
                        {"shape", ""},
                        {"active_ratio", 1.0},
                        {"router", "own"},
                        {"calibration", nullptr},
                        {"retrained_tokens", 0}};
  } else {
    cell.label = conversion->cell.label + (oracle ? " oracle" : "") + task_label;
    cell.identity["conversion"] = conversion->cell.identity;
    cell.identity["router"] = router;
    cell.description = conversion->cell.description;
    cell.description["router"] = router;
    nlohmann::json& calibration = cell.description["calibration"];
    if (!calibration.is_null()) calibration["overlap"] = task.overlaps_calibration;
  }
  cell.description["task"] = task.spec.name;
  cell.description["task_options"] = task.options;
  return cell;
}

}  // namespace moebench
