// The cells of one model of a sweep.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "harness/pipeline/planned_cells.h"
#include "harness/pipeline/sweep_plan.h"

namespace moebench {

class ModelPlanner {
 public:
  // Adds to model, which is open. exclusions: how many cells each of the sweep's excludes has left out; counted on. All
  // must outlive this.
  ModelPlanner(const SweepPlan& plan, const ModelSpec& spec, PlannedModel& model, std::vector<int64_t>& exclusions)
      : plan_(plan), spec_(spec), model_(model), exclusions_(exclusions) {}

  void plan_dense() { measure({}); }
  void plan_seed(uint64_t seed);

 private:
  struct Layout {
    std::optional<double> active_ratio;
    std::string shape;  // where active_ratio is not given
  };

  struct Converted {
    size_t index;  // of the model's conversions
    CellContent content;
  };

  static std::vector<Layout> layouts_of(const MethodSpec& method);
  double active_ratio(const MoeShape& shape) const;
  const LlamaConfig& config() const { return model_.checkpoint->config(); }
  bool has_seed(const MethodSpec& method, uint64_t seed) const;
  void plan_static_control(double ratio, uint64_t seed);
  void plan_retrained_dense(uint64_t seed);
  void measure_at_marks(const Converted& conversion, const std::optional<RetrainSpec>& spec, bool with_oracle);
  void retrain_and_measure(const Converted& conversion, const RetrainSpec& spec);
  size_t stop_at(size_t index, int64_t tokens, SweepCell cell);
  std::optional<Converted> convert(const MethodSpec& method, const Layout& layout, uint64_t seed);
  bool is_left_out(const nlohmann::json& fields);
  size_t calibration_of(const MethodSpec& method) const;
  std::string choose_shape(const Layout& layout, PlannedConversion& planned, ConversionPoint& point) const;
  void measure(const MeasuredThing& thing, const CellContent* conversion = nullptr,
               const CellContent* retraining = nullptr);

  const SweepPlan& plan_;
  const ModelSpec& spec_;
  PlannedModel& model_;
  std::vector<int64_t>& exclusions_;
  std::vector<nlohmann::json> fields_;  // of each conversion, for exclusions
  std::unordered_map<std::string, size_t> conversion_index_, retraining_index_;
  std::set<double> static_ratios_;  // that some method of the sweep prunes to
  std::unordered_set<std::string> measurement_keys_;
};

}  // namespace moebench
