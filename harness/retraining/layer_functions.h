// The element-wise parts of a layer with backward passes written by hand: what autograd would spend several times the
// passes over memory on.
#pragma once

#include <ATen/core/Tensor.h>

namespace moebench {

// silu(gate) * up, differentiable.
at::Tensor gated_product(const at::Tensor& gate, const at::Tensor& up);

// rms_norm() of harness/model/rms_norm.h, differentiable with respect to input and, if it requires a gradient, weight
// (fp32, whatever the input's dtype).
at::Tensor trained_rms_norm(const at::Tensor& input, const at::Tensor& weight, double eps);

}  // namespace moebench
