// The content keys' ingredients: what of a sweep decides the result of a stage.
#pragma once

#include <string>

#include "harness/pipeline/cell.h"
#include "harness/pipeline/sweep_plan.h"

namespace moebench {

// One point of a sweep before it has a key.
struct ConversionPoint {
  const MethodSpec* method = nullptr;
  nlohmann::json options;          // resolved
  nlohmann::json changed_options;  // those that differ from their defaults
  std::string shape;               // "S3A3E8", or "active 0.5" where the method has no such layout
  double active_ratio = 0;
  uint64_t seed = 0;
  bool needs_text = true;
  size_t calibration = 0;  // of SweepPlan::calibrations, where text is needed
};

CellContent conversion_cell(const SweepPlan& plan, const ModelSpec& spec, const PlannedModel& model,
                            const ConversionPoint& point);

// The conversion after `tokens` of retraining whose schedule ends at `budget` tokens.
CellContent retrain_cell(const SweepPlan& plan, const RetrainSpec& spec, const RetrainRecipe& recipe,
                         const CellContent& conversion, int64_t tokens, int64_t budget);

// conversion, retraining: what thing names, or null.
CellContent measurement_cell(const SweepPlan& plan, const ModelSpec& spec, const PlannedModel& model, size_t task,
                             const MeasuredThing& thing, const CellContent* conversion, const CellContent* retraining);

}  // namespace moebench
