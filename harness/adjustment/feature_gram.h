// Second moments of streamed features. T tokens, P features.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace moebench {

// The product left^T right of [T, P] and [T, Q], fp32: [P, Q].
at::Tensor product_over_tokens(const at::Tensor& left, const at::Tensor& right);

// Sum over tokens of features^T features. Products in fp32, sums over what is added in double.
class FeatureGram {
 public:
  explicit FeatureGram(int64_t num_features);

  void add(const at::Tensor& features);  // [T, P] fp32
  at::Tensor matrix() const;             // [P, P] double

 private:
  at::Tensor lower_;  // [P, P] double; what is above the diagonal means nothing
};

}  // namespace moebench
