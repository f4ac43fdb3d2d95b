// What the closed forms need of a layer's calibration tokens. T tokens, D hidden_size.
#pragma once

#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/converter.h"

namespace moebench {

struct EvidenceTokens {
  at::Tensor inputs;   // [T, D], of the FFN
  at::Tensor targets;  // [T, D], what the converted FFN is to give: the dense one's output, or the teacher's
  at::Tensor weights;  // [T] fp32: what a token's error counts, squared
};

struct TokenSample {
  at::Tensor inputs;   // [T, D]
  at::Tensor weights;  // [T] fp32
};

// 1 / ||residual + output||, [T] fp32: the next norm divides by that norm, so an error weighs relative to it.
at::Tensor residual_token_weights(const at::Tensor& residual, const at::Tensor& output);

// Keeps inputs and targets in the layer's dtype, not the activations, which are several times as large.
class LayerEvidence {
 public:
  // token_weights: "none" or "residual". teacher: the stream that the output is to lead to, [T, D] of every window in
  // the order of observe; empty where the target is the dense FFN's output on the same inputs.
  LayerEvidence(const GatedMlpWeights& dense, const std::string& token_weights, std::vector<at::Tensor> teacher = {});

  void observe(const FfnChunk& chunk);

  int64_t num_tokens() const { return num_tokens_; }
  const GatedMlpWeights& dense() const { return dense_; }
  const EvidenceTokens& last_window() const { return windows_.back(); }  // weights not yet scaled
  // In order; weights scaled so that the mean of their squares is 1.
  std::vector<EvidenceTokens> windows() const;
  // Evenly spaced tokens, count of them or all; weights as in windows().
  TokenSample sample(int64_t count) const;

 private:
  at::Tensor target_of(const FfnChunk& chunk) const;

  GatedMlpWeights dense_;
  std::vector<at::Tensor> teacher_;
  bool weigh_by_residual_;
  std::vector<EvidenceTokens> windows_;
  int64_t num_tokens_ = 0;
  double squared_weights_ = 0;
};

}  // namespace moebench
