// The cross-entropy of next tokens and its gradient, without holding the logits of more than a slice of tokens.
#pragma once

#include <ATen/core/Tensor.h>

namespace moebench {

struct HeadLoss {
  double sum = 0;              // of the negative log-likelihoods, natural logarithm
  at::Tensor hidden_gradient;  // [T, D], of factor * sum, in hidden's dtype
};

// hidden: [T, D], after the last norm; head: [vocab_size, D], in one dtype; targets: [T] int64. Where head_gradient,
// [vocab_size, D] fp32, is defined, factor * sum's gradient is added to it.
HeadLoss head_loss(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets, double factor,
                   at::Tensor head_gradient);

}  // namespace moebench
