// FLAP's statistic (WIFV, arXiv 2312.11983): how much each neuron's activation moves between samples.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace moebench {

// Streaming; sums in double. F neurons.
class ActivationFluctuation {
 public:
  explicit ActivationFluctuation(int64_t num_neurons);

  // activations: [tokens, F], one sample.
  void observe_sample(const at::Tensor& activations);

  int64_t num_samples() const { return num_samples_; }
  at::Tensor mean() const { return mean_; }  // [F], of the sample means

  // [F]. As the released code computes it: its "old mean" aliases the updated one, so with b_n the running mean and
  // S_n = sum over the sample's tokens of (h - b_n)^2 it is 1 / (N - 1) * sum_{n >= 2} (1 - 1 / n) * S_n, N >= 2: the
  // first sample counts nothing.
  at::Tensor published() const { return published_; }
  at::Tensor variance() const;  // [F], unbiased, over all tokens: the textbook's

 private:
  int64_t num_samples_ = 0, num_tokens_ = 0;
  at::Tensor mean_, published_;
  at::Tensor token_mean_, squared_deviations_;
};

}  // namespace moebench
