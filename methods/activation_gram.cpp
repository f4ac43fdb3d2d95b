#include "methods/activation_gram.h"

#include <ATen/ATen.h>

namespace moebench {
namespace {

// Of the bias, relative to the number of tokens: small, for it should take up whatever mean is missing.
constexpr double kBiasRidge = 1e-3;

at::Tensor dropped_neurons(const at::Tensor& kept, int64_t num_neurons) {
  at::Tensor dropped = at::ones({num_neurons}, at::kBool);
  dropped.index_fill_(0, kept, false);
  return dropped.nonzero().squeeze(1);
}

struct Weighted {
  at::Tensor activations;  // [tokens, F] fp32, times the weights
  at::Tensor weights;      // [tokens] fp32
};

Weighted apply_weights(const at::Tensor& activations, const std::optional<at::Tensor>& weights) {
  const at::Tensor h = activations.to(at::kFloat);
  if (!weights) return {h, at::ones({h.size(0)}, h.options())};
  const at::Tensor w = weights->to(at::kFloat);
  return {h * w.unsqueeze(1), w};
}

double sum_of_squares(const at::Tensor& tensor) { return tensor.square().sum(at::kDouble).item<double>(); }

}  // namespace

ActivationEnergy::ActivationEnergy(int64_t num_neurons) : sums_(at::zeros({num_neurons}, at::kDouble)) {}

void ActivationEnergy::observe(const at::Tensor& activations, const std::optional<at::Tensor>& weights) {
  const Weighted weighted = apply_weights(activations, weights);
  sums_.add_(weighted.activations.square().sum({0}, false, at::kDouble).to(at::kCPU));
  squared_weights_ += sum_of_squares(weighted.weights);
}

ActivationGram::ActivationGram(int64_t num_neurons)
    : products_(num_neurons), sums_(at::zeros({num_neurons}, at::kDouble)) {}

void ActivationGram::observe(const at::Tensor& activations, const std::optional<at::Tensor>& weights) {
  const auto [h, w] = apply_weights(activations, weights);
  products_.add(h);
  sums_.add_((h * w.unsqueeze(1)).sum({0}, false, at::kDouble).to(at::kCPU));
  squared_weights_ += sum_of_squares(w);
  num_tokens_ += static_cast<double>(h.size(0));
}

at::Tensor ActivationGram::bordered() const {
  const at::Tensor corner = at::full({1, 1}, squared_weights_, at::kDouble);
  const at::Tensor column = sums_.unsqueeze(1);
  const at::Tensor gram = at::cat({at::cat({products_.matrix(), column}, 1), at::cat({column.t(), corner}, 1)}, 0);
  return gram.mul_(num_tokens_ / squared_weights_);
}

DownProjRefit ActivationGram::refit(const at::Tensor& kept, const at::Tensor& down_proj, double ridge) const {
  const int64_t num_neurons = sums_.size(0);
  const int64_t num_kept = kept.size(0);
  const at::Tensor dropped = dropped_neurons(kept, num_neurons);
  const at::Tensor rows = bordered().index_select(0, at::cat({kept, at::full({1}, num_neurons, at::kLong)}));
  const at::Tensor old_down_proj = down_proj.to(at::kCPU, at::kDouble);

  at::Tensor gram = at::cat({rows.index_select(1, kept), rows.narrow(1, num_neurons, 1)}, 1);
  at::Tensor penalty = at::full({num_kept + 1}, ridge, at::kDouble).mul_(gram.diagonal().mean());
  penalty[num_kept] = kBiasRidge * num_tokens_;
  const at::Tensor missing = at::mm(rows.index_select(1, dropped), old_down_proj.index_select(1, dropped).t());
  const at::Tensor factor = at::linalg_cholesky(gram.add_(at::diag(penalty)));
  const at::Tensor change = at::cholesky_solve(missing, factor);  // [num_kept + 1, hidden_size]

  const at::Tensor refitted = old_down_proj.index_select(1, kept) + change.narrow(0, 0, num_kept).t();
  return {.down_proj = refitted.to(at::kFloat).contiguous(), .output_bias = change[num_kept].to(at::kFloat)};
}

}  // namespace moebench
