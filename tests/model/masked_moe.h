// The mixture of experts by its definition: plain loops in double over single neurons, every expert masked in or out.
#pragma once

#include <ATen/core/Tensor.h>

#include "harness/conversion.h"

namespace moebench {

// hidden: [tokens, hidden_size]. Returns the same shape, double.
at::Tensor masked_moe(const GatedMlpWeights& dense, const LayerConversion& conversion, const at::Tensor& hidden);

}  // namespace moebench
