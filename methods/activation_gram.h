// Second moments of a layer's activations, and the ridge regression that they suffice for.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

#include "harness/adjustment/feature_gram.h"

namespace moebench {

struct DownProjRefit {
  at::Tensor down_proj;    // [hidden_size, kept neurons] fp32
  at::Tensor output_bias;  // [hidden_size] fp32
};

// Weighted mean of h^2, [F] double. F neurons.
class ActivationEnergy {
 public:
  explicit ActivationEnergy(int64_t num_neurons);

  // activations: [tokens, F]; weights: [tokens], all 1 if absent.
  void observe(const at::Tensor& activations, const std::optional<at::Tensor>& weights);
  at::Tensor mean() const { return sums_.div(squared_weights_); }

 private:
  at::Tensor sums_;  // [F] double
  double squared_weights_ = 0;
};

// Sums over tokens of w^2 [h, 1]^T [h, 1], with w the token's weight scaled to mean square 1. F neurons.
// Products in fp32, sums over windows in double.
class ActivationGram {
 public:
  explicit ActivationGram(int64_t num_neurons);

  // activations: [tokens, F]; weights: [tokens], all 1 if absent.
  void observe(const at::Tensor& activations, const std::optional<at::Tensor>& weights);

  // The down projection of the kept neurons (ascending) and the bias that come nearest to the full layer's output in
  // least squares: ridge regression towards down_proj's own columns with ridge * mean of the Gram's diagonal.
  // One pass suffices, for what is missing from the output is a product of the Gram and the dropped columns.
  DownProjRefit refit(const at::Tensor& kept, const at::Tensor& down_proj, double ridge) const;

 private:
  at::Tensor bordered() const;  // [F + 1, F + 1] double, scaled

  double num_tokens_ = 0, squared_weights_ = 0;
  FeatureGram products_;  // of the activations
  at::Tensor sums_;       // [F] double
};

}  // namespace moebench
