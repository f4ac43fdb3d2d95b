#include "harness/model/weight.h"

#include <stdexcept>

#include <ATen/ATen.h>

namespace moebench {

at::ScalarType dtype_named(const std::string& name) {
  TORCH_CHECK(name == "float32" || name == "bfloat16", "no dtype is named ", name);
  return name == "bfloat16" ? at::kBFloat16 : at::kFloat;
}

bool all_finite(const at::Tensor& tensor) {
  // The sum is finite unless a value is not or the sum overflows; it takes one fast pass.
  return tensor.sum(at::kFloat).isfinite().item<bool>() || tensor.isfinite().all().item<bool>();
}

at::Tensor load_weight(const Checkpoint& checkpoint, const std::string& name, const Precision& precision) {
  const at::Tensor weight = checkpoint.load(name, precision.dtype);
  if (!all_finite(weight)) {
    throw std::runtime_error(checkpoint.path().string() + ": tensor " + name +
                             " holds a value that is not finite; the file is damaged, or its training diverged");
  }
  return weight.to(precision.device);
}

}  // namespace moebench
