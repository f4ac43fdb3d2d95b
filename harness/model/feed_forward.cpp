#include "harness/model/feed_forward.h"

#include <ATen/ATen.h>

namespace moebench {

at::Tensor gated_activations(const GatedMlpWeights& weights, const at::Tensor& hidden) {
  at::Tensor gate = at::linear(hidden, weights.gate_proj);
  return at::silu_(gate).mul_(at::linear(hidden, weights.up_proj));
}

at::Tensor GatedMlp::forward(const at::Tensor& hidden) const {
  return at::linear(gated_activations(weights_, hidden), weights_.down_proj);
}

}  // namespace moebench
