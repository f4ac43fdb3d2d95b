// Ridge regression over streamed tokens. T tokens, P features, Q targets.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "harness/adjustment/feature_gram.h"

namespace moebench {

struct RidgeSolution {
  at::Tensor coefficients;                               // [P, Q] double
  double squared_error_at_start = 0, squared_error = 0;  // sum over tokens and targets
};

// Products in fp32, sums over windows and the solution in double.
class RidgeRegression {
 public:
  RidgeRegression(int64_t num_features, int64_t num_targets);

  // features: [T, P], targets: [T, Q], fp32; a token's weight is multiplied into both.
  void observe(const at::Tensor& features, const at::Tensor& targets);

  at::Tensor gram() const { return gram_.matrix(); }           // [P, P] double
  double squared_targets() const { return squared_targets_; }  // sum over tokens and targets
  // The coefficients that minimise sum ||targets - features c||^2 + sum_p penalty_p ||c_p - start_p||^2.
  // gram: as gram() gives it; start: [P, Q] double; penalty: [P] double, positive.
  RidgeSolution solve(const at::Tensor& gram, const at::Tensor& start, const at::Tensor& penalty) const;

 private:
  FeatureGram gram_;
  at::Tensor products_;  // features^T targets, [P, Q] double
  double squared_targets_ = 0;
};

}  // namespace moebench
