#include "harness/adjustment/layer_adjustment.h"

#include "harness/adjustment/adaptive_visits.h"
#include "harness/adjustment/compensation.h"
#include "harness/adjustment/moment_alignment.h"
#include "harness/adjustment/ridge_router.h"

namespace moebench {
namespace {

std::vector<at::Tensor> teacher_after(int64_t layer, const AdjustmentPreparation* preparation) {
  if (preparation == nullptr || !preparation->teacher) return {};
  return preparation->teacher->after_layer(layer);
}

}  // namespace

LayerAdjustment::LayerAdjustment(const AdjustmentOptions& options, const DenseLayer& dense,
                                 const AdjustmentPreparation* preparation)
    : options_(options), evidence_(dense.weights, options.token_weights, teacher_after(dense.index, preparation)) {}

void LayerAdjustment::apply(LayerConversion& conversion) const {
  if (conversion.keep_dense || !options_.changes_layers()) return;
  if (!conversion.experts.empty()) apply_routing(conversion);
  apply_outputs(conversion);
}

void LayerAdjustment::apply_routing(LayerConversion& conversion) const {
  if (options_.router != "own") {
    const RouterKind kind = options_.router == "ridge" ? RouterKind::kQuadratic : RouterKind::kLinear;
    const bool means_stand_in = options_.compensation != "none";
    conversion.notes["router_agreement"] = fit_ridge_router(evidence_, kind, means_stand_in, conversion);
    if (options_.visits != "top_k") scale_to_unit_spread(evidence_, conversion.router);
  }
  if (options_.visits == "threshold") calibrate_visits(evidence_, RoutingRule::Visits::kThreshold, conversion);
  if (options_.visits == "cumulative_mass") {
    calibrate_visits(evidence_, RoutingRule::Visits::kCumulativeMass, conversion);
  }
}

void LayerAdjustment::apply_outputs(LayerConversion& conversion) const {
  if (options_.compensation == "least_squares") {
    // Its own sums give the errors.
    const RefitErrors errors = refit_outputs(evidence_, options_.ridge, conversion);
    conversion.notes["relative_error_before"] = errors.before;
    conversion.notes["relative_error"] = errors.after;
    if (!options_.moment_alignment) return;
  } else if (options_.refits_outputs()) {
    conversion.notes["relative_error_before"] = relative_error(evidence_, conversion);
  }
  if (options_.compensation == "mean") compensate_means(evidence_, conversion);
  if (options_.moment_alignment) align_moments(evidence_, conversion);
  conversion.notes["relative_error"] = relative_error(evidence_, conversion);
}

CalibrationRequest adjusted_calibration(CalibrationRequest own, const AdjustmentOptions& options) {
  if (options.budgets == "measured" && !own.needs_text) {
    own.needs_text = true;
    own.observes_layers = false;
  }
  if (options.changes_layers()) own.needs_text = own.observes_layers = true;
  if (options.propagate == "converted" || (options.propagate == "auto" && options.fits_own_stream())) {
    own.propagation = Propagation::kConverted;
  } else if (options.propagate == "dense") {
    own.propagation = Propagation::kDense;
  }
  return own;
}

}  // namespace moebench
