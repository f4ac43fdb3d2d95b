// Root mean square norm, over the last dimension.
#pragma once

#include <ATen/core/Tensor.h>

namespace moebench {

// input [..., size], weight [size]. Normalised and scaled in fp32 and rounded once to the input's dtype, as
// torch.nn.functional.rms_norm does. transformers rounds before it scales, too, which in bf16 drifts further from fp32.
at::Tensor rms_norm(const at::Tensor& input, const at::Tensor& weight, double eps);

}  // namespace moebench
