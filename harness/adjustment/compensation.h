// What a converted layer's output still misses, given back in closed form.
#pragma once

#include "harness/adjustment/layer_evidence.h"
#include "harness/conversion.h"

namespace moebench {

// Sum over tokens of (weight ||converted - target||)^2, relative to that of the target.
double relative_error(const LayerEvidence& evidence, const LayerConversion& conversion);

// Adds to the output, where an expert is not visited, the mean of what it would give then; and to every token the mean
// of what is missing still: of neurons that no expert has, for weights that are not 1. Experts that overlap stand in
// for one another, so they get the latter alone. Afterwards the mean output over the tokens is the targets'.
void compensate_means(const LayerEvidence& evidence, LayerConversion& conversion);

struct RefitErrors {
  double before = 0, after = 0;  // relative_error, on the tokens of the fit
};

// Refits down projections and biases (moe_readout.h says which) towards the targets by ridge regression from where
// they are: ridge times the mean of the Gram matrix's diagonal for neurons, 1e-3 times the number of tokens for biases.
RefitErrors refit_outputs(const LayerEvidence& evidence, double ridge, LayerConversion& conversion);

}  // namespace moebench
