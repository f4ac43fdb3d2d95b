#include "harness/model/feed_forward.h"

#include <ATen/ATen.h>

#include "harness/model/fused_feed_forward.h"
#include "harness/model/linear.h"

namespace moebench {

at::Tensor gated_activations(const GatedMlpWeights& weights, const at::Tensor& hidden) {
  at::Tensor gate = apply_linear(hidden, weights.gate_proj);
  return at::silu_(gate).mul_(apply_linear(hidden, weights.up_proj));
}

GatedMlp::GatedMlp(GatedMlpWeights weights) : weights_(std::move(weights)) {}

GatedMlp::~GatedMlp() = default;

at::Tensor GatedMlp::forward(const at::Tensor& hidden) const {
  if (weights_.gate_proj.scalar_type() != at::kFloat || needs_gradients(hidden, weights_)) {
    return forward_by_operators(hidden);
  }
  std::call_once(fused_once_, [&] { fused_ = FusedFeedForward::create({.shared = ExpertTensors{weights_}}); });
  return fused_ ? fused_->forward(hidden) : forward_by_operators(hidden);
}

at::Tensor GatedMlp::forward_by_operators(const at::Tensor& hidden) const {
  return apply_linear(gated_activations(weights_, hidden), weights_.down_proj);
}

}  // namespace moebench
