// As many experts as a token needs, as many on average as top_k was.
#pragma once

#include "harness/adjustment/layer_evidence.h"
#include "harness/conversion.h"

namespace moebench {

// Chooses the rule's level so that the mean number of visited experts over the tokens is the layer's top_k, and lets
// top_k be all of them; sets mean_visits. Does nothing where tokens visit all experts. Throws std::invalid_argument for
// the oracle, which has no logits, and where no threshold above 0 lets tokens visit as many.
void calibrate_visits(const LayerEvidence& evidence, RoutingRule::Visits visits, LayerConversion& conversion);

}  // namespace moebench
