// All that is switched on, for one layer: an observer's evidence and what is then done to its conversion.
#pragma once

#include "harness/adjustment/adjustment_options.h"
#include "harness/adjustment/adjustment_preparation.h"
#include "harness/adjustment/layer_evidence.h"
#include "harness/conversion.h"
#include "harness/converter.h"

namespace moebench {

class LayerAdjustment {
 public:
  // preparation: null where nothing was prepared. Takes the layer from its teacher stream.
  LayerAdjustment(const AdjustmentOptions& options, const DenseLayer& dense, const AdjustmentPreparation* preparation);

  void observe(const FfnChunk& chunk) { evidence_.observe(chunk); }
  const LayerEvidence& evidence() const { return evidence_; }

  // Router, visits, compensation, moment alignment, in this order, for each looks at what is active by then. Layers
  // that are kept dense stay. notes gain "relative_error" (compensation.h) and, where outputs are refitted,
  // "relative_error_before" that; "router_agreement" (ridge_router.h) where a router is fitted.
  void apply(LayerConversion& conversion) const;

 private:
  void apply_routing(LayerConversion& conversion) const;
  void apply_outputs(LayerConversion& conversion) const;

  AdjustmentOptions options_;
  LayerEvidence evidence_;
};

// What a method that asks for own needs with these switches on: text, and the stream that options.propagate says.
CalibrationRequest adjusted_calibration(CalibrationRequest own, const AdjustmentOptions& options);

}  // namespace moebench
