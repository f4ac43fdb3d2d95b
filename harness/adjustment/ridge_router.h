// Routers by regression: each routed expert is scored by what it is predicted to contribute.
#pragma once

#include "harness/adjustment/layer_evidence.h"
#include "harness/conversion.h"

namespace moebench {

// Gives the layer a router whose logits are the ridge regression of ||expert(x) - what stands there without it|| times
// the token's weight, on [x, x^2, 1] (kind kQuadratic) or [x, 1] (kLinear); the ridge is 1e-3 of each feature's sum of
// squares. The rule stays. means_stand_in: without an expert its mean output will stand there; else its absent bias.
// Returns the share of the experts chosen that the contributions themselves would choose.
double fit_ridge_router(const LayerEvidence& evidence, RouterKind kind, bool means_stand_in,
                        LayerConversion& conversion);

// Multiplies the logits of a router that is linear in its tensors by the power of two that lets the experts of most
// tokens differ by about 1: predicted norms may differ by thousands, where a softmax in float is 0 and 1. No order of
// logits changes.
void scale_to_unit_spread(const LayerEvidence& evidence, RouterSpec& router);

}  // namespace moebench
