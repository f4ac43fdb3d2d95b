#include "harness/pipeline/model_planner.h"

#include <algorithm>

#include <fmt/format.h>

#include "harness/adjustment/adjusted_converter.h"
#include "harness/pipeline/registry_options.h"
#include "harness/retraining/recipe.h"

namespace moebench {
namespace {

constexpr const char* kStaticControl = "static_pruning";

// Reports show them among the method's options: {"adjust.compensation": "mean"}.
void add_adjustment(const AdjustmentOptions& adjustment, ConversionPoint& point) {
  const nlohmann::json defaults = options_to_json(AdjustmentOptions()), chosen = options_to_json(adjustment);
  for (const auto& [name, value] : chosen.items()) {
    if (value == defaults.at(name)) continue;
    point.options["adjust." + name] = value;
    point.changed_options["adjust." + name] = value;
  }
}

// Returns why there is no such recipe; "" if there is.
std::string choose_recipe(const RetrainSpec& spec, const Converter& converter, RetrainRecipe& recipe) {
  try {
    recipe = named_recipe(spec.recipe, converter);
    change_recipe(recipe, spec.settings);
    check_recipe(recipe);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace

void ModelPlanner::plan_seed(uint64_t seed) {
  std::set<double> routed_ratios;
  for (const MethodSpec& method : plan_.spec.methods) {
    if (!has_seed(method, seed)) continue;
    for (const Layout& layout : layouts_of(method)) {
      const std::optional<Converted> conversion = convert(method, layout, seed);
      if (!conversion) continue;
      const bool wants_oracle = method.oracle.value_or(plan_.spec.controls);
      const PlannedConversion& planned = model_.conversions[conversion->index];
      const bool is_routed = planned.cell.error.empty() && planned.shape.top_k > 0;
      measure_at_marks(*conversion, method.retraining, is_routed && wants_oracle);
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

std::vector<ModelPlanner::Layout> ModelPlanner::layouts_of(const MethodSpec& method) {
  std::vector<Layout> layouts;
  for (const double ratio : method.active_ratios) layouts.push_back({ratio, ""});
  for (const std::string& shape : method.shapes) layouts.push_back({std::nullopt, shape});
  return layouts;
}

double ModelPlanner::active_ratio(const MoeShape& shape) const {
  return static_cast<double>(shape.active_neurons()) / static_cast<double>(config().intermediate_size);
}

bool ModelPlanner::has_seed(const MethodSpec& method, uint64_t seed) const {
  const std::vector<uint64_t>& seeds = method.seeds.empty() ? plan_.spec.seeds : method.seeds;
  return std::find(seeds.begin(), seeds.end(), seed) != seeds.end();
}

void ModelPlanner::plan_static_control(double ratio, uint64_t seed) {
  MethodSpec control;
  control.name = kStaticControl;
  control.location = "controls";
  control.is_included = true;
  measure_at_marks(*convert(control, {ratio, ""}, seed), plan_.spec.retraining, false);
}

// What the retraining text gives the model that nothing was taken from.
void ModelPlanner::plan_retrained_dense(uint64_t seed) {
  MethodSpec dense;
  dense.name = "dense";
  dense.location = "retraining.dense";
  dense.is_included = true;
  RetrainSpec retraining = *plan_.spec.retraining;
  retraining.recipe = RetrainSpec().recipe;
  std::erase(retraining.tokens, 0);  // untrained, it is the dense parent
  measure_at_marks(*convert(dense, {1.0, ""}, seed), retraining, false);
}

// The conversion as it is, if that is a mark or there are none; and after each mark's retraining.
void ModelPlanner::measure_at_marks(const Converted& conversion, const std::optional<RetrainSpec>& spec,
                                    bool with_oracle) {
  std::vector<int64_t> marks = spec ? spec->tokens : std::vector<int64_t>{0};
  std::erase_if(marks, [&](int64_t tokens) {
    nlohmann::json fields = fields_[conversion.index];
    if (!fields.is_null()) fields["retrain_tokens"] = tokens;
    return is_left_out(fields);
  });
  if (!marks.empty() && marks.front() == 0) {
    measure({.conversion = conversion.index}, &conversion.content);
    if (with_oracle) measure({.conversion = conversion.index, .oracle = true}, &conversion.content);
  }
  if (marks.empty() || marks.back() == 0) return;
  RetrainSpec retraining_spec = *spec;
  retraining_spec.tokens = marks;
  retrain_and_measure(conversion, retraining_spec);
}

// If the same one is there already, by whatever marks on its way, it stops at these, too.
void ModelPlanner::retrain_and_measure(const Converted& conversion, const RetrainSpec& spec) {
  RetrainRecipe recipe;
  const std::string error = choose_recipe(spec, *model_.conversions[conversion.index].converter, recipe);
  std::vector<int64_t> marks = spec.tokens;
  std::erase(marks, 0);
  std::vector<CellContent> contents;
  std::vector<SweepCell> cells;
  for (const int64_t tokens : marks) {
    contents.push_back(retrain_cell(plan_, spec, recipe, conversion.content, tokens, marks.back()));
    contents.back().made_of = {model_.conversions[conversion.index].cell.key()};
    cells.emplace_back(contents.back(), error);
  }
  const auto [known, is_new] = retraining_index_.emplace(cells.back().key(), model_.retrainings.size());
  const size_t index = known->second;
  if (is_new)
    model_.retrainings.push_back({.conversion = conversion.index, .recipe = recipe, .marks = {}, .cells = {}});
  for (size_t mark = 0; mark < marks.size(); ++mark) {
    const size_t place = stop_at(index, marks[mark], std::move(cells[mark]));
    measure({.conversion = conversion.index, .retraining = index, .mark = place}, &conversion.content, &contents[mark]);
  }
}

// Returns which of the retraining's marks it is.
size_t ModelPlanner::stop_at(size_t index, int64_t tokens, SweepCell cell) {
  PlannedRetraining& retraining = model_.retrainings[index];
  const auto later = std::lower_bound(retraining.marks.begin(), retraining.marks.end(), tokens);
  const auto place = static_cast<size_t>(later - retraining.marks.begin());
  if (later != retraining.marks.end() && *later == tokens) return place;
  if (later != retraining.marks.end()) {
    for (PlannedMeasurement& measurement : model_.measurements) {
      MeasuredThing& thing = measurement.thing;
      if (thing.retraining == index && thing.mark >= place) ++thing.mark;
    }
  }
  retraining.marks.insert(later, tokens);
  retraining.cells.insert(retraining.cells.begin() + static_cast<std::ptrdiff_t>(place), std::move(cell));
  return place;
}

// Adds the conversion unless the same one is there already. Returns it; nothing if the sweep leaves it out.
std::optional<ModelPlanner::Converted> ModelPlanner::convert(const MethodSpec& method, const Layout& layout,
                                                             uint64_t seed) {
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
  nlohmann::json fields;
  if (!method.is_included && !plan_.spec.excludes.empty()) {
    fields = {{"model", spec_.path},
              {"method", method.name},
              {"seed", seed},
              {"shape", point.shape},
              {"options", point.options},
              {"active_ratio", {layout.active_ratio.value_or(point.active_ratio), point.active_ratio}}};
  }
  if (is_left_out(fields)) return std::nullopt;
  CellContent content = conversion_cell(plan_, spec_, model_, point);
  planned.cell = SweepCell(content, error);
  const auto [known, is_new] = conversion_index_.emplace(planned.cell.key(), model_.conversions.size());
  if (is_new) {
    model_.conversions.push_back(std::move(planned));
    fields_.push_back(std::move(fields));
  }
  return Converted{known->second, std::move(content)};
}

// fields: of a cell; null for one that no exclusion holds for.
bool ModelPlanner::is_left_out(const nlohmann::json& fields) {
  if (fields.is_null()) return false;
  bool is_out = false;
  for (size_t exclude = 0; exclude < plan_.spec.excludes.size(); ++exclude) {
    if (!plan_.spec.excludes[exclude].leaves_out(fields)) continue;
    ++exclusions_[exclude];
    is_out = true;
  }
  return is_out;
}

size_t ModelPlanner::calibration_of(const MethodSpec& method) const {
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
std::string ModelPlanner::choose_shape(const Layout& layout, PlannedConversion& planned, ConversionPoint& point) const {
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

// conversion, retraining: what thing names, or null.
void ModelPlanner::measure(const MeasuredThing& thing, const CellContent* conversion, const CellContent* retraining) {
  nlohmann::json fields;
  if (!plan_.spec.excludes.empty()) {
    fields = thing.conversion ? fields_[*thing.conversion] : nlohmann::json{{"model", spec_.path}, {"method", "dense"}};
  }
  for (size_t task = 0; task < plan_.tasks.size(); ++task) {
    if (!fields.is_null()) {
      fields["retrain_tokens"] = thing.retraining ? model_.retrainings[*thing.retraining].marks[thing.mark] : 0;
      fields["task"] = plan_.tasks[task].spec.name;
    }
    if (is_left_out(fields)) continue;
    SweepCell cell(measurement_cell(plan_, spec_, model_, task, thing, conversion, retraining),
                   plan_.tasks[task].error);
    if (!measurement_keys_.insert(cell.key()).second) continue;
    model_.measurements.push_back({std::move(cell), thing, task});
  }
}

}  // namespace moebench
