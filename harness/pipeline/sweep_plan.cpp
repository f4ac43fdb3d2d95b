#include "harness/pipeline/sweep_plan.h"

#include <algorithm>

#include <ATen/Context.h>
#include <fmt/format.h>

#include "harness/adjustment/adjusted_converter.h"
#include "harness/model/weight.h"
#include "harness/options.h"
#include "harness/pipeline/model_planner.h"
#include "harness/pipeline/registry_options.h"

namespace moebench {
namespace {

// Stray lines that many texts share do not make a measurement dishonest.
constexpr double kOverlapToMark = 0.01;

PlannedTask plan_task(const TaskSpec& spec) {
  PlannedTask planned;
  planned.spec = spec;
  at_location<Task>(spec.location, spec.name, [&](const TaskRegistry::Entry& entry) {
    planned.task = entry.create(spec.options);
    planned.options = entry.resolve(spec.options);
    planned.changed_options = changed_options<Task>(entry, planned.options);
  });
  try {
    planned.data_hash = planned.task->data_hash();
  } catch (const std::runtime_error& error) {
    planned.error = error.what();
  }
  return planned;
}

// Before the weights are hashed.
void check_methods(const SweepSpec& spec) {
  for (const MethodSpec& method : spec.methods) {
    at_location<Converter>(method.location, method.name, [&](const ConverterRegistry::Entry& entry) {
      entry.resolve(method.options);
      parse_options<AdjustmentOptions>("adjust", method.adjust);
    });
  }
}

// Tasks name the text or folder of texts they read, if any, in their option "text".
bool overlaps(const std::vector<Corpus>& calibration_texts, const PlannedTask& task) {
  if (!task.error.empty() || !task.options.contains("text") || calibration_texts.empty()) return false;
  const std::vector<NamedText> texts = find_texts(task.options["text"].get<std::string>());
  return std::any_of(texts.begin(), texts.end(), [&](const NamedText& text) {
    const Corpus measured = read_corpus(text.path);
    return std::any_of(calibration_texts.begin(), calibration_texts.end(),
                       [&](const Corpus& calibrated) { return overlap(calibrated, measured) > kOverlapToMark; });
  });
}

std::vector<Corpus> read_texts(const std::vector<std::string>& names) {
  std::vector<Corpus> texts;
  for (const std::string& name : names) texts.push_back(read_named_corpus(name));
  return texts;
}

std::vector<PlannedCalibration> plan_calibrations(const SweepSpec& spec, const std::vector<PlannedTask>& tasks) {
  std::vector<PlannedCalibration> calibrations;
  const auto add = [&](const std::optional<CalibrationSpec>& calibration) {
    const bool is_known = std::any_of(calibrations.begin(), calibrations.end(),
                                      [&](const PlannedCalibration& known) { return known.spec == calibration; });
    if (!calibration || is_known) return;
    PlannedCalibration planned{.spec = *calibration, .texts = read_texts(calibration->texts)};
    for (const PlannedTask& task : tasks) planned.overlaps.push_back(overlaps(planned.texts, task));
    calibrations.push_back(std::move(planned));
  };
  add(spec.calibration);
  for (const MethodSpec& method : spec.methods) add(method.calibration);
  return calibrations;
}

// The sweep's, then those that only methods have.
std::vector<uint64_t> all_seeds(const SweepSpec& spec) {
  std::vector<uint64_t> seeds = spec.seeds;
  for (const MethodSpec& method : spec.methods) {
    for (const uint64_t seed : method.seeds) {
      if (std::find(seeds.begin(), seeds.end(), seed) == seeds.end()) seeds.push_back(seed);
    }
  }
  return seeds;
}

PlannedModel open_model(const ModelSpec& spec) {
  if (spec.device == "cuda" && !at::hasCUDA()) {
    throw std::invalid_argument("model.device cuda: this libtorch finds no CUDA device; use cpu");
  }
  PlannedModel model;
  model.checkpoint = open_checkpoint(resolve_model_path(spec.path));
  model.tokenizer = Tokenizer::load(model.checkpoint->path());
  model.precision.dtype = dtype_named(spec.dtype);
  model.precision.device = at::Device(spec.device);
  model.weights_hash = model.checkpoint->content_hash();
  model.tokenizer_hash = model.tokenizer->content_hash();
  return model;
}

// Their cells would have the same keys.
void refuse_same_model(const SweepPlan& plan) {
  const size_t last = plan.models.size() - 1;
  const ModelSpec& spec = plan.spec.models[last];
  for (size_t index = 0; index < last; ++index) {
    const ModelSpec& other = plan.spec.models[index];
    const bool is_same = plan.models[index].weights_hash == plan.models[last].weights_hash &&
                         other.dtype == spec.dtype && other.device == spec.device;
    if (!is_same) continue;
    throw std::invalid_argument(
        fmt::format("models: the {}. ({}) and the {}. ({}) are the same weights in {} on {}; leave one out", index + 1,
                    other.path, last + 1, spec.path, spec.dtype, spec.device));
  }
}

// One that does nothing is a mistake in it.
void check_exclusions(const SweepPlan& plan, const std::vector<int64_t>& exclusions) {
  std::vector<std::string> methods = {"dense"}, tasks;
  for (const MethodSpec& method : plan.spec.methods) methods.push_back(method.name);
  for (const TaskSpec& task : plan.spec.tasks) tasks.push_back(task.name);
  for (size_t index = 0; index < exclusions.size(); ++index) {
    if (exclusions[index] > 0) continue;
    const ExcludeSpec& exclude = plan.spec.excludes[index];
    for (const auto& [field, known] : {std::pair("method", methods), {"task", tasks}}) {
      if (!exclude.conditions.contains(field)) continue;
      for (const std::string name : exclude.conditions[field]) {
        if (std::find(known.begin(), known.end(), name) != known.end()) continue;
        throw std::invalid_argument(exclude.location + ": " + unknown_name_message(field, name, known));
      }
    }
    throw std::invalid_argument(exclude.location + ": leaves out nothing, for no cell has " +
                                exclude.conditions.dump() + "; `plan` lists the cells that there are");
  }
  const bool has_conversions = std::any_of(plan.models.begin(), plan.models.end(),
                                           [](const PlannedModel& model) { return !model.conversions.empty(); });
  if (plan.spec.excludes.empty() || has_conversions) return;
  throw std::invalid_argument(plan.spec.excludes.front().location + ": the sweep's excludes leave nothing of it");
}

}  // namespace

SweepPlan plan_sweep(const SweepSpec& spec) {
  SweepPlan plan;
  plan.spec = spec;
  check_methods(spec);
  for (const TaskSpec& task : spec.tasks) plan.tasks.push_back(plan_task(task));
  plan.calibrations = plan_calibrations(spec, plan.tasks);
  if (spec.retraining) plan.retrain_texts = read_texts(spec.retraining->texts);
  for (PlannedTask& task : plan.tasks) task.overlaps_retraining = overlaps(plan.retrain_texts, task);
  std::vector<int64_t> exclusions(spec.excludes.size());
  for (const ModelSpec& model_spec : spec.models) {
    plan.models.push_back(open_model(model_spec));
    refuse_same_model(plan);
    ModelPlanner planner(plan, model_spec, plan.models.back(), exclusions);
    planner.plan_dense();
    for (const uint64_t seed : all_seeds(spec)) planner.plan_seed(seed);
  }
  check_exclusions(plan, exclusions);
  return plan;
}

}  // namespace moebench
