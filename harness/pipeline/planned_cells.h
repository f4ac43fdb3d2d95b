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
};

SweepCell conversion_cell(const SweepPlan& plan, const ModelSpec& spec, const PlannedModel& model,
                          const ConversionPoint& point);

// conversion: null for the dense parent.
SweepCell measurement_cell(const SweepPlan& plan, const ModelSpec& spec, const PlannedModel& model,
                           const PlannedTask& task, const PlannedConversion* conversion, bool oracle);

}  // namespace moebench
