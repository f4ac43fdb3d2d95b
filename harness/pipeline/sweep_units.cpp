#include "harness/pipeline/sweep_units.h"

#include <map>
#include <tuple>

namespace moebench {
namespace {

class UnitBuilder {
 public:
  UnitBuilder(const PlannedModel& model, size_t index, std::vector<SweepUnit>& units)
      : model_(model), index_(index), units_(units) {}

  void add(const SweepTodo& todo) {
    for (const ConversionPass& pass : todo.passes) add_pass(pass);
    for (const size_t retraining : todo.retrainings) add_retraining(retraining);
    for (const size_t measurement : todo.measurements) add_measurement(model_.measurements[measurement]);
  }

 private:
  SweepUnit& add_unit(const std::string& label) {
    units_.push_back({.label = label, .model = index_});
    return units_.back();
  }

  void add_pass(const ConversionPass& pass) {
    const std::string first = model_.conversions[pass.front()].cell.label;
    SweepUnit& unit = add_unit(pass.size() == 1 ? first : first + " and " + std::to_string(pass.size() - 1) + " more");
    for (const size_t conversion : pass) {
      unit.cells.push_back(&model_.conversions[conversion].cell);
      conversions_[conversion] = units_.size() - 1;
    }
  }

  void add_retraining(size_t index) {
    const PlannedRetraining& retraining = model_.retrainings[index];
    SweepUnit& unit = add_unit(retraining.cells.back().label);
    for (const SweepCell& cell : retraining.cells) unit.cells.push_back(&cell);
    need(conversions_, retraining.conversion, unit);
    retrainings_[index] = units_.size() - 1;
  }

  // Beside those of the same model, so that it is loaded once.
  void add_measurement(const PlannedMeasurement& measurement) {
    const MeasuredThing& thing = measurement.thing;
    const auto [known, is_new] =
        measured_.emplace(std::tuple(thing.conversion, thing.retraining, thing.mark, thing.oracle), units_.size());
    if (is_new) {
      const std::string& label = measurement.cell.label;
      SweepUnit& unit = add_unit(label.substr(0, label.find(" · ")) + " · measured");
      if (thing.conversion) need(conversions_, *thing.conversion, unit);
      if (thing.retraining) need(retrainings_, *thing.retraining, unit);
    }
    units_[known->second].cells.push_back(&measurement.cell);
  }

  static void need(const std::map<size_t, size_t>& made_by, size_t index, SweepUnit& unit) {
    const auto found = made_by.find(index);
    if (found != made_by.end()) unit.needs.push_back(found->second);
  }

  const PlannedModel& model_;
  const size_t index_;
  std::vector<SweepUnit>& units_;
  std::map<size_t, size_t> conversions_, retrainings_;  // to the units that make them
  std::map<std::tuple<std::optional<size_t>, std::optional<size_t>, size_t, bool>, size_t> measured_;
};

}  // namespace

std::vector<SweepUnit> sweep_units(const SweepPlan& plan, const std::vector<SweepTodo>& todos) {
  std::vector<SweepUnit> units;
  for (size_t model = 0; model < plan.models.size(); ++model) {
    UnitBuilder(plan.models[model], model, units).add(todos[model]);
  }
  return units;
}

}  // namespace moebench
