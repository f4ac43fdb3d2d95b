#include "harness/model/projection.h"

#include <ATen/ops/linear.h>

namespace moebench {

at::Tensor project(const at::Tensor& input, const at::Tensor& weight, const std::optional<at::Tensor>& bias) {
  return at::linear(input, weight, bias);
}

}  // namespace moebench
