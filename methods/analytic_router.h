// CMoE's router without training: each expert is scored by its representative neuron.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "harness/conversion.h"
#include "harness/converter.h"

namespace moebench {

// Gives the layer the router |R_u x * silu(R_g x)| whose rows are the L2-normalised gate and up rows of the
// representatives, and the rule of the released code: softmax before top-k, weights 1 + s * u with u = 0 (exactly 1),
// selection bias 0. Both zeros are stored, for fine-tuning moves them.
void set_analytic_router(LayerConversion& conversion, const DenseLayer& layer,
                         std::span<const int64_t> representatives);

}  // namespace moebench
