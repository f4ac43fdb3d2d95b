#include "harness/adjustment/layer_evidence.h"

#include <cmath>
#include <utility>

#include <ATen/ATen.h>

namespace moebench {

at::Tensor residual_token_weights(const at::Tensor& residual, const at::Tensor& output) {
  return (residual.to(at::kFloat) + output.to(at::kFloat)).norm(2, {1}).reciprocal_();
}

LayerEvidence::LayerEvidence(const GatedMlpWeights& dense, const std::string& token_weights,
                             std::vector<at::Tensor> teacher)
    : dense_(dense), teacher_(std::move(teacher)), weigh_by_residual_(token_weights == "residual") {}

at::Tensor LayerEvidence::target_of(const FfnChunk& chunk) const {
  if (teacher_.empty()) return at::linear(chunk.activations, dense_.down_proj);
  return teacher_.at(windows_.size()) - chunk.residual;
}

void LayerEvidence::observe(const FfnChunk& chunk) {
  const at::Tensor targets = target_of(chunk);
  const at::Tensor weights = weigh_by_residual_ ? residual_token_weights(chunk.residual, targets)
                                                : at::ones({targets.size(0)}, targets.options().dtype(at::kFloat));
  windows_.push_back({chunk.inputs, targets, weights});
  num_tokens_ += targets.size(0);
  squared_weights_ += weights.square().sum(at::kDouble).item<double>();
}

std::vector<EvidenceTokens> LayerEvidence::windows() const {
  const double scale = std::sqrt(static_cast<double>(num_tokens_) / squared_weights_);
  std::vector<EvidenceTokens> windows = windows_;
  for (EvidenceTokens& window : windows) window.weights = window.weights * scale;
  return windows;
}

TokenSample LayerEvidence::sample(int64_t count) const {
  std::vector<at::Tensor> inputs, weights;
  for (const EvidenceTokens& window : windows()) {
    inputs.push_back(window.inputs);
    weights.push_back(window.weights);
  }
  const TokenSample all{at::cat(inputs), at::cat(weights)};
  if (count >= num_tokens_) return all;
  const at::Tensor chosen =
      at::linspace(0, static_cast<double>(num_tokens_ - 1), count, at::kDouble).to(at::kLong).to(all.inputs.device());
  return {all.inputs.index_select(0, chosen), all.weights.index_select(0, chosen)};
}

}  // namespace moebench
