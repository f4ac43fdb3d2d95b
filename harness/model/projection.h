// The matrix product that the whole model spends its time in. (Not named linear: at::linear would be found as well.)
#pragma once

#include <optional>

#include <ATen/core/Tensor.h>

namespace moebench {

// input [..., in], weight [out, in], bias [out] → [..., out].
at::Tensor project(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias = {});

}  // namespace moebench
