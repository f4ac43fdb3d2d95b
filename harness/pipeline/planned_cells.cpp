#include "harness/pipeline/planned_cells.h"

#include <fmt/format.h>

#include "harness/retraining/recipe.h"

namespace moebench {
namespace {

// Raised whenever a stage computes something else from the same settings; old results are then not reused.
// 2: rates tie as in the released CMoE code; 3: conversion files of format 2; 4: MKL on any CPU; 5: adaptive visits
// see the converted stream, behind a ridge router with scaled scores
constexpr int kConvertVersion = 5;
constexpr int kRetrainVersion = 3;  // 3: narrow experts are computed at once
constexpr int kMeasureVersion = 2;

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

nlohmann::json content_hashes(const std::vector<Corpus>& texts) {
  nlohmann::json hashes = nlohmann::json::array();
  for (const Corpus& corpus : texts) hashes.push_back(corpus.content_hash);
  return hashes;
}

nlohmann::json names_of(const std::vector<Corpus>& texts) {
  nlohmann::json names = nlohmann::json::array();
  for (const Corpus& corpus : texts) names.push_back(corpus.name);
  return names;
}

// Text, tokenizer, number and length of windows and the seed decide the window ids.
nlohmann::json calibration_identity(const PlannedCalibration& calibration, const PlannedModel& model) {
  return {{"texts", content_hashes(calibration.texts)},
          {"tokenizer", model.tokenizer_hash},
          {"windows", calibration.spec.windows},
          {"window", calibration.spec.window}};
}

nlohmann::json calibration_description(const PlannedCalibration& calibration) {
  const auto domains = static_cast<int64_t>(calibration.texts.size());
  return {{"texts", names_of(calibration.texts)},
          {"windows", calibration.spec.windows},
          {"window", calibration.spec.window},
          {"tokens", domains * calibration.spec.windows * calibration.spec.window}};
}

nlohmann::json dense_description(const ModelSpec& spec) {
  return {{"model", spec.path},
          {"dtype", spec.dtype},
          {"method", "dense"},
          {"options", nlohmann::json::object()},
          {"changed_options", nlohmann::json::object()},
          {"shape", ""},
          {"active_ratio", 1.0},
          {"router", "own"},
          {"calibration", nullptr},
          {"retrained_tokens", 0}};
}

}  // namespace

CellContent conversion_cell(const SweepPlan& plan, const ModelSpec& spec, const PlannedModel& model,
                            const ConversionPoint& point) {
  CellContent cell;
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
    const PlannedCalibration& calibration = plan.calibrations[point.calibration];
    cell.identity["calibration"] = calibration_identity(calibration, model);
    cell.description["calibration"] = calibration_description(calibration);
  }
  return cell;
}

namespace {

// "common", "common, bfloat16, learning_rate=0.0003"
std::string recipe_label(const RetrainSpec& spec) {
  std::string label = spec.recipe;
  if (spec.dtype != RetrainSpec().dtype) label += ", " + spec.dtype;
  for (const auto& [field, value] : spec.settings.items()) label += ", " + field + "=" + value.dump();
  return label;
}

}  // namespace

CellContent retrain_cell(const SweepPlan& plan, const RetrainSpec& spec, const RetrainRecipe& recipe,
                         const CellContent& conversion, int64_t tokens, int64_t budget) {
  CellContent cell;
  cell.stage = "retrain";
  cell.label =
      fmt::format("{} retrained on {} of {} tokens ({})", conversion.label, tokens, budget, recipe_label(spec));
  cell.identity = {{"stage", cell.stage},
                   {"version", kRetrainVersion},
                   {"conversion", conversion.identity},
                   {"texts", content_hashes(plan.retrain_texts)},
                   {"window", spec.window},
                   {"dtype", spec.dtype},
                   {"recipe", recipe_to_json(recipe)},
                   {"tokens", tokens},
                   {"budget", budget}};
  cell.description = conversion.description;
  cell.description["retrained_tokens"] = tokens;
  cell.description["retraining"] = {{"recipe", recipe_label(spec)},
                                    {"texts", names_of(plan.retrain_texts)},
                                    {"window", spec.window},
                                    {"budget", budget}};
  return cell;
}

CellContent measurement_cell(const SweepPlan& plan, const ModelSpec& spec, const PlannedModel& model, size_t task_index,
                             const MeasuredThing& thing, const CellContent* conversion, const CellContent* retraining) {
  const PlannedTask& task = plan.tasks[task_index];
  CellContent cell;
  cell.stage = "measure";
  const std::string task_label = " · " + task.spec.name + parenthesised(task.changed_options);
  const std::string router = thing.oracle ? "oracle" : "own";
  cell.identity = {{"stage", cell.stage},
                   {"version", kMeasureVersion},
                   {"model", model_identity(spec, model)},
                   {"tokenizer", model.tokenizer_hash},
                   {"task", task.spec.name},
                   {"task_options", task.options},
                   {"task_data", task.data_hash}};
  if (conversion == nullptr) {
    cell.label = model_prefix(plan, spec) + "dense" + task_label;
    cell.description = dense_description(spec);
  } else {
    const PlannedConversion& planned = model.conversions[*thing.conversion];
    const CellContent& source = retraining != nullptr ? *retraining : *conversion;
    cell.label = source.label + (thing.oracle ? " oracle" : "") + task_label;
    cell.made_of = {planned.cell.key()};
    cell.identity["conversion"] = conversion->identity;
    cell.identity["router"] = router;
    cell.description = source.description;
    cell.description["router"] = router;
    nlohmann::json& calibration = cell.description["calibration"];
    if (!calibration.is_null()) calibration["overlap"] = plan.calibrations[planned.calibration].overlaps[task_index];
    if (retraining != nullptr) {
      cell.made_of.push_back(model.retrainings[*thing.retraining].cells[thing.mark].key());
      cell.identity["retraining"] = retraining->identity;
      cell.description["retraining"]["overlap"] = task.overlaps_retraining;
    }
  }
  cell.description["task"] = task.spec.name;
  cell.description["task_options"] = task.options;
  return cell;
}

}  // namespace moebench
