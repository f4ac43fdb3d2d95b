// Weights as they come from a checkpoint.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/model/llama.h"

namespace moebench {

// "float32" or "bfloat16", as sweeps and command lines name them; a program error else.
at::ScalarType dtype_named(const std::string& name);

bool all_finite(const at::Tensor& tensor);

// The tensor of that name on the device. Throws std::runtime_error naming file and tensor if it is missing or holds a
// value that is not finite: one would make everything that is measured NaN.
at::Tensor load_weight(const Checkpoint& checkpoint, const std::string& name, const Precision& precision);

}  // namespace moebench
