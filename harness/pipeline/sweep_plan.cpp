#include "harness/pipeline/sweep_plan.h"

#include <map>
#include <set>

#include <ATen/Context.h>
#include <fmt/format.h>

#include "harness/pipeline/planned_cells.h"

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
    at_location<Converter>(method.location, method.name,
                           [&](const ConverterRegistry::Entry& entry) { entry.resolve(method.options); });
  }
}

// Tasks name the text they read, if any, in their option "text".
bool overlaps(const std::vector<Corpus>& calibration_texts, const PlannedTask& task) {
  if (!task.error.empty() || !task.options.contains("text") || calibration_texts.empty()) return false;
  const Corpus measured = read_named_corpus(task.options["text"].get<std::string>());
  return std::any_of(calibration_texts.begin(), calibration_texts.end(),
                     [&](const Corpus& calibrated) { return overlap(calibrated, measured) > kOverlapToMark; });
}

// Plans the cells of one model.
class ModelPlanner {
 public:
  ModelPlanner(const SweepPlan& plan, const ModelSpec& spec, PlannedModel& model)
      : plan_(plan), spec_(spec), model_(model) {}

  void plan_dense() { measure(std::nullopt, false); }

  void plan_seed(uint64_t seed) {
    std::set<double> routed_ratios, static_ratios;
    for (const MethodSpec& method : plan_.spec.methods) {
      for (const Layout& layout : layouts_of(method)) {
        const size_t conversion = convert(method, layout, seed);
        measure(conversion, false);
        const PlannedConversion& planned = model_.conversions[conversion];
        if (!planned.cell.error.empty()) continue;
        const double ratio = active_ratio(planned.shape);
        if (method.name == kStaticControl) static_ratios.insert(ratio);
        if (planned.shape.top_k == 0) continue;
        routed_ratios.insert(ratio);
        if (method.oracle.value_or(plan_.spec.controls)) measure(conversion, true);
      }
    }
    if (!plan_.spec.controls) return;
    for (const double ratio : routed_ratios) {
      if (!static_ratios.contains(ratio)) plan_static_control(ratio, seed);
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

  void plan_static_control(double ratio, uint64_t seed) {
    MethodSpec control;
    control.name = kStaticControl;
    control.location = "controls";
    measure(convert(control, {ratio, ""}, seed), false);
  }

  // Adds the conversion unless the same one is there already. Returns its index.
  size_t convert(const MethodSpec& method, const Layout& layout, uint64_t seed) {
    PlannedConversion planned;
    ConversionPoint point;
    at_location<Converter>(method.location, method.name, [&](const ConverterRegistry::Entry& entry) {
      planned.converter = entry.create(method.options);
      point.options = entry.resolve(method.options);
      point.changed_options = changed_options<Converter>(entry, point.options);
    });
    point.method = &method;
    point.seed = planned.seed = seed;
    point.needs_text = planned.converter->calibration().needs_text;
    if (point.needs_text && !plan_.spec.calibration) {
      throw std::invalid_argument(method.location + ": " + method.name +
                                  " reads text, but the sweep has no table [calibration] with texts = [\"…\"]");
    }
    const std::string error = choose_shape(layout, planned, point);
    planned.cell = conversion_cell(plan_, spec_, model_, point);
    planned.cell.error = error;
    const auto [known, is_new] = conversion_index_.emplace(planned.cell.key(), model_.conversions.size());
    if (is_new) model_.conversions.push_back(std::move(planned));
    return known->second;
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

  void measure(std::optional<size_t> conversion, bool oracle) {
    const PlannedConversion* converted = conversion ? &model_.conversions[*conversion] : nullptr;
    for (size_t task = 0; task < plan_.tasks.size(); ++task) {
      SweepCell cell = measurement_cell(plan_, spec_, model_, plan_.tasks[task], converted, oracle);
      if (!measurement_keys_.insert(cell.key()).second) continue;
      model_.measurements.push_back({std::move(cell), conversion, oracle, task});
    }
  }

  const SweepPlan& plan_;
  const ModelSpec& spec_;
  PlannedModel& model_;
  std::map<std::string, size_t> conversion_index_;
  std::set<std::string> measurement_keys_;
};

PlannedModel open_model(const ModelSpec& spec) {
  if (spec.device == "cuda" && !at::hasCUDA()) {
    throw std::invalid_argument("model.device cuda: this libtorch finds no CUDA device; use cpu");
  }
  PlannedModel model;
  model.checkpoint = open_checkpoint(resolve_model_path(spec.path));
  model.tokenizer = Tokenizer::load(model.checkpoint->path());
  model.precision.dtype = spec.dtype == "bfloat16" ? at::kBFloat16 : at::kFloat;
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
  if (spec.calibration) {
    for (const std::string& text : spec.calibration->texts) {
      plan.calibration_texts.push_back(read_named_corpus(text));
    }
  }
  for (PlannedTask& task : plan.tasks) task.overlaps_calibration = overlaps(plan.calibration_texts, task);
  for (const ModelSpec& model_spec : spec.models) {
    plan.models.push_back(open_model(model_spec));
    refuse_same_model(plan);
    ModelPlanner planner(plan, model_spec, plan.models.back());
    planner.plan_dense();
    for (const uint64_t seed : spec.seeds) planner.plan_seed(seed);
  }
  return plan;
}

}  // namespace moebench
