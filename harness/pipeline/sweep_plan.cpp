#include "harness/pipeline/sweep_plan.h"

#include <algorithm>
#include <map>
#include <set>

#include <ATen/Context.h>
#include <fmt/format.h>

#include "harness/adjustment/adjusted_converter.h"
#include "harness/model/weight.h"
#include "harness/pipeline/planned_cells.h"
#include "harness/retraining/recipe.h"

namespace moebench {
namespace {

constexpr const char* kStaticControl = "static_pruning";

// Stray lines that many texts share do not make a measurement dishonest.
constexpr double kOverlapToMark = 0.01;

// Names the place in the sweep file in front of what a registry refuses.
template <class Interface, class Use>
auto at_location(const std::string& location, const std::string& name, const Use& use) {
  try {
    return use(Registry<Interface>::instance().find(name));
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(location + ": " + error.what());
  }
}

template <class Interface>
nlohmann::json changed_options(const typename Registry<Interface>::Entry& entry, const nlohmann::json& resolved) {
  const nlohmann::json defaults = entry.resolve(nlohmann::json::object());
  nlohmann::json changed = nlohmann::json::object();
  for (const auto& [name, value] : resolved.items()) {
    if (value != defaults.at(name)) changed[name] = value;
  }
  return changed;
}

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

// Reports show them among the method's options: {"adjust.compensation": "mean"}.
void add_adjustment(const AdjustmentOptions& adjustment, ConversionPoint& point) {
  const nlohmann::json defaults = options_to_json(AdjustmentOptions()), chosen = options_to_json(adjustment);
  for (const auto& [name, value] : chosen.items()) {
    if (value == defaults.at(name)) continue;
    point.options["adjust." + name] = value;
    point.changed_options["adjust." + name] = value;
  }
}

// Plans the cells of one model.
class ModelPlanner {
 public:
  ModelPlanner(const SweepPlan& plan, const ModelSpec& spec, PlannedModel& model)
      : plan_(plan), spec_(spec), model_(model) {}

  void plan_dense() { measure({}); }

  void plan_seed(uint64_t seed) {
    std::set<double> routed_ratios;
    for (const MethodSpec& method : plan_.spec.methods) {
      if (!has_seed(method, seed)) continue;
      for (const Layout& layout : layouts_of(method)) {
        const size_t conversion = convert(method, layout, seed);
        const bool wants_oracle = method.oracle.value_or(plan_.spec.controls);
        const PlannedConversion& planned = model_.conversions[conversion];
        const bool is_routed = planned.cell.error.empty() && planned.shape.top_k > 0;
        measure_at_marks(conversion, method.retraining, is_routed && wants_oracle);
        if (!planned.cell.error.empty()) continue;
        const double ratio = active_ratio(planned.shape);
        if (method.name == kStaticControl) static_ratios_.insert(ratio);
        if (is_routed) routed_ratios.insert(ratio);
      }
    }
    const std::vector<uint64_t>& seeds = plan_.spec.seeds;  // controls have no others
    if (!plan_.spec.controls || std::find(seeds.begin(), seeds.end(), seed) == seeds.end()) return;
    for (const double ratio : routed_ratios) {
      if (!static_ratios_.contains(ratio)) plan_static_control(ratio, seed);
    }
    if (plan_.spec.retraining && plan_.spec.retraining->dense && seed == plan_.spec.seeds.front()) {
      plan_retrained_dense(seed);
    }
  }

 private:
  struct Layout {
    std::optional<double> active_ratio;
    std::string shape;  // where active_ratio is not given
  };

  static std::vector<Layout> layouts_of(const MethodSpec& method) {
    std::vector<Layout> layouts;
    for (const double ratio : method.active_ratios) layouts.push_back({ratio, ""});
    for (const std::string& shape : method.shapes) layouts.push_back({std::nullopt, shape});
    return layouts;
  }

  double active_ratio(const MoeShape& shape) const {
    return static_cast<double>(shape.active_neurons()) / static_cast<double>(config().intermediate_size);
  }

  const LlamaConfig& config() const { return model_.checkpoint->config(); }

  bool has_seed(const MethodSpec& method, uint64_t seed) const {
    const std::vector<uint64_t>& seeds = method.seeds.empty() ? plan_.spec.seeds : method.seeds;
    return std::find(seeds.begin(), seeds.end(), seed) != seeds.end();
  }

  void plan_static_control(double ratio, uint64_t seed) {
    MethodSpec control;
    control.name = kStaticControl;
    control.location = "controls";
    measure_at_marks(convert(control, {ratio, ""}, seed), plan_.spec.retraining, false);
  }

  // What the retraining text gives the model that nothing was taken from.
  void plan_retrained_dense(uint64_t seed) {
    MethodSpec dense;
    dense.name = "dense";
    dense.location = "retraining.dense";
    RetrainSpec retraining = *plan_.spec.retraining;
    retraining.recipe = RetrainSpec().recipe;
    std::erase(retraining.tokens, 0);  // untrained, it is the dense parent
    measure_at_marks(convert(dense, {1.0, ""}, seed), retraining, false);
  }

  // The conversion as it is, if that is a mark or there are none; and after each mark's retraining.
  void measure_at_marks(size_t conversion, const std::optional<RetrainSpec>& spec, bool with_oracle) {
    const std::vector<int64_t> marks = spec ? spec->tokens : std::vector<int64_t>{0};
    if (!marks.empty() && marks.front() == 0) {
      measure({.conversion = conversion});
      if (with_oracle) measure({.conversion = conversion, .oracle = true});
    }
    if (marks.empty() || marks.back() == 0) return;
    const size_t retraining = retrain(conversion, *spec);
    for (size_t mark = 0; mark < model_.retrainings[retraining].marks.size(); ++mark) {
      measure({.conversion = conversion, .retraining = retraining, .mark = mark});
    }
  }

  // Returns why there is no such recipe; "" if there is.
  static std::string choose_recipe(const RetrainSpec& spec, const Converter& converter, RetrainRecipe& recipe) {
    try {
      recipe = named_recipe(spec.recipe, converter);
      change_recipe(recipe, spec.settings);
      check_recipe(recipe);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  }

  // Adds the retraining unless the same one is there already. Returns its index.
  size_t retrain(size_t conversion, const RetrainSpec& spec) {
    const PlannedConversion& planned = model_.conversions[conversion];
    PlannedRetraining retraining{.conversion = conversion};
    const std::string error = choose_recipe(spec, *planned.converter, retraining.recipe);
    for (const int64_t tokens : spec.tokens) {
      if (tokens == 0) continue;
      retraining.marks.push_back(tokens);
      retraining.cells.push_back(retrain_cell(plan_, spec, retraining.recipe, planned, tokens, spec.tokens.back()));
      retraining.cells.back().error = error;
    }
    const auto [known, is_new] = retraining_index_.emplace(retraining.cells.back().key(), model_.retrainings.size());
    if (is_new) model_.retrainings.push_back(std::move(retraining));
    return known->second;
  }

  // Adds the conversion unless the same one is there already. Returns its index.
  size_t convert(const MethodSpec& method, const Layout& layout, uint64_t seed) {
    PlannedConversion planned;
    ConversionPoint point;
    at_location<Converter>(method.location, method.name, [&](const ConverterRegistry::Entry& entry) {
      const auto adjustment = parse_options<AdjustmentOptions>("adjust", method.adjust);
      planned.converter = adjusted(entry.create(method.options), adjustment);
      point.options = entry.resolve(method.options);
      point.changed_options = changed_options<Converter>(entry, point.options);
      add_adjustment(adjustment, point);
    });
    point.method = &method;
    point.seed = planned.seed = seed;
    point.needs_text = planned.converter->calibration().needs_text;
    if (point.needs_text) point.calibration = planned.calibration = calibration_of(method);
    const std::string error = choose_shape(layout, planned, point);
    planned.cell = conversion_cell(plan_, spec_, model_, point);
    planned.cell.error = error;
    const auto [known, is_new] = conversion_index_.emplace(planned.cell.key(), model_.conversions.size());
    if (is_new) model_.conversions.push_back(std::move(planned));
    return known->second;
  }

  size_t calibration_of(const MethodSpec& method) const {
    const auto& own = method.calibration;
    const CalibrationSpec* wanted = own ? &*own : plan_.spec.calibration ? &*plan_.spec.calibration : nullptr;
    if (wanted == nullptr) {
      throw std::invalid_argument(method.location + ": " + method.name +
                                  " reads text, but the sweep has no table [calibration] with texts = [\"…\"]");
    }
    const auto found = std::find_if(plan_.calibrations.begin(), plan_.calibrations.end(),
                                    [&](const PlannedCalibration& known) { return known.spec == *wanted; });
    return static_cast<size_t>(found - plan_.calibrations.begin());
  }

  // Returns why there is no such shape; "" if there is.
  std::string choose_shape(const Layout& layout, PlannedConversion& planned, ConversionPoint& point) const {
    point.active_ratio = layout.active_ratio.value_or(0);
    point.shape = layout.active_ratio ? fmt::format("active {}", *layout.active_ratio) : layout.shape;
    try {
      planned.shape = layout.active_ratio ? planned.converter->shape_for(*layout.active_ratio, config())
                                          : parse_moe_shape(layout.shape, config().intermediate_size);
      point.shape = to_string(planned.shape, config().intermediate_size);
      point.active_ratio = active_ratio(planned.shape);
      planned.converter->check_shape(planned.shape, config());
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  }

  void measure(const MeasuredThing& thing) {
    for (size_t task = 0; task < plan_.tasks.size(); ++task) {
      SweepCell cell = measurement_cell(plan_, spec_, model_, task, thing);
      if (!measurement_keys_.insert(cell.key()).second) continue;
      model_.measurements.push_back({std::move(cell), thing, task});
    }
  }

  const SweepPlan& plan_;
  const ModelSpec& spec_;
  PlannedModel& model_;
  std::map<std::string, size_t> conversion_index_, retraining_index_;
  std::set<double> static_ratios_;  // that some method of the sweep prunes to
  std::set<std::string> measurement_keys_;
};

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

}  // namespace

SweepPlan plan_sweep(const SweepSpec& spec) {
  SweepPlan plan;
  plan.spec = spec;
  check_methods(spec);
  for (const TaskSpec& task : spec.tasks) plan.tasks.push_back(plan_task(task));
  plan.calibrations = plan_calibrations(spec, plan.tasks);
  if (spec.retraining) plan.retrain_texts = read_texts(spec.retraining->texts);
  for (PlannedTask& task : plan.tasks) task.overlaps_retraining = overlaps(plan.retrain_texts, task);
  for (const ModelSpec& model_spec : spec.models) {
    plan.models.push_back(open_model(model_spec));
    refuse_same_model(plan);
    ModelPlanner planner(plan, model_spec, plan.models.back());
    planner.plan_dense();
    for (const uint64_t seed : all_seeds(spec)) planner.plan_seed(seed);
  }
  return plan;
}

}  // namespace moebench
