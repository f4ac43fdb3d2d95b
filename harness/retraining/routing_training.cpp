#include "harness/retraining/routing_training.h"

#include <cmath>
#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

namespace moebench {
namespace {

constexpr double kDiveNoise = 5e-4, kLeastLlamaMoeNoise = 0.01;  // the released codes' constants

at::Tensor squared_variation(const at::Tensor& values_E) {
  if (values_E.numel() == 1) return at::zeros({}, values_E.options());
  return values_E.var(/*unbiased=*/true) / (values_E.mean().square() + 1e-10);
}

// P(N(0, 1) <= z).
at::Tensor normal_cdf(const at::Tensor& z) { return 0.5 * (1 + at::erf(z / std::sqrt(2.0))); }

}  // namespace

at::Tensor initial_noise_weight(RetrainStage::Noise kind, int64_t num_experts, int64_t hidden_size,
                                at::Generator& generator) {
  if (kind == RetrainStage::Noise::kLlamaMoe) return at::zeros({num_experts, hidden_size}, at::kFloat);
  const double bound = 1 / std::sqrt(static_cast<double>(hidden_size));
  return at::empty({num_experts, hidden_size}, at::kFloat).uniform_(-bound, bound, generator);
}

NoisyLogits add_noise(RetrainStage::Noise kind, const at::Tensor& logits, const at::Tensor& noise_weight,
                      const at::Tensor& hidden, const at::Tensor& normal) {
  const at::Tensor softplus = at::softplus(at::linear(hidden, noise_weight.to(hidden.scalar_type())).to(at::kFloat));
  NoisyLogits result{.clean = logits};
  result.deviation = kind == RetrainStage::Noise::kDive ? softplus * kDiveNoise : softplus + kLeastLlamaMoeNoise;
  result.noise = normal * result.deviation;
  result.noisy = logits + result.noise;
  return result;
}

at::Tensor mixing_weights(const at::Tensor& logits, const RoutingRule& rule, int64_t top_k, double temperature) {
  const bool add_up_to_one =
      rule.weights == RoutingRule::Weights::kScores && rule.softmax != RoutingRule::Softmax::kNone;
  return at::softmax(logits / temperature, -1) * (rule.scale * (add_up_to_one ? 1.0 : static_cast<double>(top_k)));
}

at::Tensor smooth_load(const NoisyLogits& logits, int64_t top_k, bool published_estimator) {
  const at::Tensor best = std::get<0>(logits.noisy.topk(top_k + 1, 1));
  const at::Tensor in_threshold = best.narrow(1, top_k, 1), out_threshold = best.narrow(1, top_k - 1, 1);
  const at::Tensor is_in = (published_estimator ? logits.noise : logits.noisy) > in_threshold;
  const at::Tensor threshold = at::where(is_in, in_threshold, out_threshold);
  return normal_cdf((logits.clean - threshold) / logits.deviation).sum(0);
}

at::Tensor importance_and_load_loss(const NoisyLogits& logits, const Routing& routing, double rule_scale,
                                    bool published_estimator) {
  const int64_t num_experts = logits.clean.size(1), top_k = routing.experts.size(1);
  const at::Tensor scores_TE =
      at::zeros(logits.clean.sizes(), routing.weights.options()).scatter(1, routing.experts, routing.weights);
  const at::Tensor importance = scores_TE.sum(0) / rule_scale;
  const bool is_smooth = logits.noise.defined() && top_k < num_experts;
  const at::Tensor load =
      is_smooth ? smooth_load(logits, top_k, published_estimator) : count_visits(routing, num_experts).to(at::kFloat);
  return squared_variation(importance) + squared_variation(load);
}

at::Tensor switch_balance_loss(const at::Tensor& logits, const at::Tensor& visits) {
  const at::Tensor share = visits.to(at::kFloat) / visits.sum();
  return static_cast<double>(logits.size(1)) * (share * at::softmax(logits, -1).mean(0)).sum();
}

at::Tensor count_visits(const Routing& routing, int64_t num_experts) {
  const at::Tensor visited =
      routing.visited.defined() ? routing.experts.masked_select(routing.visited) : routing.experts.flatten();
  return at::bincount(visited, /*weights=*/{}, num_experts);
}

void balance_selection_bias(at::Tensor& selection_bias, const at::Tensor& visits, double step) {
  const at::NoGradGuard no_grad;
  const at::Tensor above_mean = visits.to(at::kDouble) - visits.to(at::kDouble).mean();
  selection_bias.sub_(above_mean.sign().to(selection_bias.scalar_type()), step);
}

}  // namespace moebench
