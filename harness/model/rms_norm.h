// Root mean square norm, over the last dimension.
#pragma once

#include <ATen/core/Tensor.h>

namespace moebench {

// input [..., size], weight [size]. Normalised in fp32, rounded to the input's dtype, then scaled, as transformers
// does.
at::Tensor rms_norm(const at::Tensor& input, const at::Tensor& weight, double eps);

}  // namespace moebench
