// LLaMA-MoE's gates (arXiv 2406.16554, released code's TopKBalancedNoisyGate), as they stand before training.
#pragma once

#include <ATen/core/Generator.h>

#include "harness/conversion.h"
#include "harness/converter.h"

namespace moebench {

// The scale of the published training scripts: all experts over the active ones. 8 for 2 of 16; 4 for 4 of 16, for 2
// of 8, and for the residual layout of 7 routed and 1 shared expert, 1 active.
double published_score_scale(const MoeShape& shape);

// Both give the layer the published rule of evaluation: top-k of the logits, then a softmax over the chosen k, times
// score_scale. The experts must be there; the gate's tensors are in the layer's dtype.

// second tanh(first x), torch.nn.Linear's initialisation: the default of the released code.
void set_tanh_gate(LayerConversion& conversion, const DenseLayer& layer, double score_scale,
                   const at::Generator& generator);
// A linear gate of zeros. Its scores all tie, so that untrained it sends every token to the first k experts; the
// released code's torch.topk picks k others, the same for every token as well.
void set_zero_linear_gate(LayerConversion& conversion, const DenseLayer& layer, double score_scale);

}  // namespace moebench
