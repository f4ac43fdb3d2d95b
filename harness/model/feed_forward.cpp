#include "harness/model/feed_forward.h"

#include <ATen/ATen.h>

#include "harness/model/projection.h"

namespace moebench {

at::Tensor gated_activations(const GatedMlpWeights& weights, const at::Tensor& hidden) {
  at::Tensor gate = project(hidden, weights.gate_proj);
  return at::silu_(gate).mul_(project(hidden, weights.up_proj));
}

at::Tensor GatedMlp::forward(const at::Tensor& hidden) const {
  return project(gated_activations(weights_, hidden), weights_.down_proj);
}

}  // namespace moebench
