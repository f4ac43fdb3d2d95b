// Moment alignment, as OpenSparseLLMs/LLaMA-MoE-v2's code has it (arXiv 2411.15708).
#pragma once

#include "harness/adjustment/layer_evidence.h"
#include "harness/conversion.h"

namespace moebench {

// Gives every channel of the output the targets' mean and variance over the tokens (unweighted): with
// a = sqrt(var_target / var_converted), rows of all down projections and all biases are multiplied by a, and
// mean_target - a mean_converted is added. Exact wherever add_constant_output is: with a shared expert, or where the
// weights of a token's experts have the same sum for every token.
void align_moments(const LayerEvidence& evidence, LayerConversion& conversion);

}  // namespace moebench
