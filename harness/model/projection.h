// The matrix product that the whole model spends its time in. (Not named linear: at::linear would be found as well.)
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

namespace moebench {

// input [..., in], weight [out, in], bias [out] → [..., out]. Differentiable; the same input gives the same bits.
at::Tensor project(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias = {});

// Whether project() leaves such an input to oneDNN: fp32 rows that need no gradient, and enough of them, on a processor
// whose AVX-512 units MKL, at::linear's library, does not use because they are not Intel's. There oneDNN takes half the
// time.
bool projects_with_onednn(const at::Tensor& input, const at::Tensor& weight);

}  // namespace moebench
