#include "methods/activation_fluctuation.h"

#include <ATen/ATen.h>

namespace moebench {
namespace {

// Sum over tokens of (h - center)^2, [F] double. Deviations in fp32 are exact enough; their sum over many samples is
// not.
at::Tensor squared_deviations(const at::Tensor& activations, const at::Tensor& center) {
  return (activations - center.to(at::kFloat)).square_().sum({0}, false, at::kDouble);
}

}  // namespace

ActivationFluctuation::ActivationFluctuation(int64_t num_neurons)
    : mean_(at::zeros({num_neurons}, at::kDouble)),
      published_(mean_.clone()),
      token_mean_(mean_.clone()),
      squared_deviations_(mean_.clone()) {}

void ActivationFluctuation::observe_sample(const at::Tensor& activations) {
  const at::Tensor h = activations.to(at::kFloat);
  const at::Tensor sample_mean = h.mean({0}, false, at::kDouble).to(at::kCPU);
  const double n = static_cast<double>(++num_samples_);
  mean_ = mean_ * ((n - 1) / n) + sample_mean / n;
  if (num_samples_ > 1) {
    published_ = published_ * ((n - 2) / (n - 1)) + squared_deviations(h, mean_.to(h.device())).to(at::kCPU) / n;
  }

  // Chan et al.: sums of squared deviations of two sets, merged.
  const double before = static_cast<double>(num_tokens_);
  const double tokens = static_cast<double>(h.size(0));
  const at::Tensor step = sample_mean - token_mean_;
  squared_deviations_ = squared_deviations_ + squared_deviations(h, sample_mean.to(h.device())).to(at::kCPU) +
                        step.square() * (before * tokens / (before + tokens));
  token_mean_ = token_mean_ + step * (tokens / (before + tokens));
  num_tokens_ += h.size(0);
}

at::Tensor ActivationFluctuation::variance() const {
  return squared_deviations_ / static_cast<double>(num_tokens_ - 1);
}

}  // namespace moebench
