// A dense layer, what it saw, and mixtures of experts of every kind made of it, for the closed forms to work on.
#pragma once

#include <string>
#include <vector>

#include "harness/adjustment/layer_evidence.h"
#include "harness/conversion.h"
#include "tests/methods/layer_scene.h"

namespace moebench {

class AdjustmentScene {
 public:
  static constexpr int64_t kNeurons = 24, kHidden = 8, kWindows = 3, kTokens = 100;

  explicit AdjustmentScene(const std::string& token_weights = "none");

  // Experts of four neurons, two of them visited by a random linear router.
  LayerConversion partition(bool with_shared) const;
  // The kinds of mixture that methods make: with and without a shared expert, weighted, adaptive, overlapping with
  // output biases, with weights of their own, static.
  std::vector<std::pair<std::string, LayerConversion>> mixtures() const;

  at::Tensor inputs() const;                                                     // all tokens
  at::Tensor dense_output() const { return GatedMlp(dense).forward(inputs()); }  // of all tokens
  at::Tensor output(const LayerConversion& conversion) const;                    // of all tokens

  const GatedMlpWeights dense = random_mlp(kNeurons, kHidden, 1);
  const std::vector<at::Tensor> windows = random_windows(kWindows, kTokens, kHidden, 2);
  const LayerEvidence evidence;
};

inline const AdjustmentScene scene;

double largest_difference(const at::Tensor& a, const at::Tensor& b);

}  // namespace moebench
