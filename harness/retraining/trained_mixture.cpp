#include "harness/retraining/trained_mixture.h"

#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

namespace moebench {
namespace {

// What a visit costs beside its expert's products (its row fetched, weighed and added), in neurons, as measured by
// retraining_benchmark.
constexpr int64_t kVisitOverhead = 128;

at::Tensor trained_copy(const at::Tensor& tensor, bool is_trained) {
  return tensor.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).detach().set_requires_grad(is_trained);
}

std::optional<at::Tensor> stack_absent_biases(const std::vector<ExpertSpec>& experts, int64_t hidden_size,
                                              at::ScalarType dtype) {
  std::optional<at::Tensor> biases_ED;
  for (size_t expert = 0; expert < experts.size(); ++expert) {
    if (!experts[expert].absent_bias) continue;
    if (!biases_ED) biases_ED = at::zeros({static_cast<int64_t>(experts.size()), hidden_size}, dtype);
    biases_ED->select(0, static_cast<int64_t>(expert)).copy_(*experts[expert].absent_bias);
  }
  return biases_ED;
}

ExpertSpec all_neurons(const GatedMlpWeights& dense) {
  return {.neurons = at::arange(dense.gate_proj.size(0), at::kLong)};
}

// Every expert gets 1 where it is visited and nothing depends on the scores.
bool weighs_nothing(const RoutingRule& rule) { return rule.weights == RoutingRule::Weights::kUnit && rule.scale == 1; }

}  // namespace

TrainedMixture::TrainedMixture(const GatedMlpWeights& dense, const LayerConversion& conversion,
                               const RetrainStage& stage, at::ScalarType dtype, const at::Tensor& noise_weight,
                               at::Generator& generator)
    : stage_(stage) {
  const WeightTraining training{stage.experts, stage.rank, stage.alpha, stage.dropout};
  if (conversion.keep_dense) {
    shared_.emplace(dense, std::vector{all_neurons(dense)}, training, dtype, generator);
    return;
  }
  const int64_t hidden_size = dense.gate_proj.size(1), num_experts = static_cast<int64_t>(conversion.experts.size());
  if (conversion.shared) shared_.emplace(dense, std::vector{*conversion.shared}, training, dtype, generator);
  absent_biases_ = stack_absent_biases(conversion.experts, hidden_size, dtype);
  if (conversion.top_k == 0) return;
  if (conversion.router.kind == RouterKind::kOracle) {
    throw std::invalid_argument("an oracle's choice cannot be trained; retrain the conversion with its own router");
  }
  experts_.emplace(dense, conversion.experts, training, dtype, generator);
  top_k_ = conversion.top_k;
  router_.kind = conversion.router.kind;
  for (const auto& [name, tensor] : conversion.router.tensors) {
    router_.tensors[name] = trained_copy(tensor, stage.router);
  }
  rule_ = conversion.rule;
  if (rule_.expert_scale) rule_.expert_scale = trained_copy(*rule_.expert_scale, stage.expert_scale);
  if (rule_.selection_bias) rule_.selection_bias = trained_copy(*rule_.selection_bias, false);
  if (stage.selection_bias_step > 0 && !rule_.selection_bias)
    rule_.selection_bias = at::zeros({num_experts}, at::kFloat);
  if (stage.noise == RetrainStage::Noise::kNone) {
    noise_weight_ = noise_weight;  // kept for a later stage
  } else {
    noise_weight_ = trained_copy(
        noise_weight.defined() ? noise_weight : initial_noise_weight(stage.noise, num_experts, hidden_size, generator),
        stage.router);
  }
}

RouterSpec TrainedMixture::router_in(at::ScalarType dtype) const {
  RouterSpec router = router_;
  for (auto& [name, tensor] : router.tensors) tensor = tensor.to(dtype);
  return router;
}

NoisyLogits TrainedMixture::logits_for(const at::Tensor& hidden, LayerPass& pass) const {
  const at::Tensor logits = router_logits(router_in(hidden.scalar_type()), hidden);
  if (stage_.noise == RetrainStage::Noise::kNone) return {.clean = logits, .noisy = logits};
  const at::Tensor normal = at::randn(logits.sizes(), pass.generator, logits.options().requires_grad(false));
  return add_noise(stage_.noise, logits, noise_weight_, hidden, normal);
}

at::Tensor TrainedMixture::forward(const at::Tensor& hidden, LayerPass& pass) const {
  at::Tensor output = shared_ ? shared_->visit_all(hidden, {}, pass.generator) : at::zeros_like(hidden);
  if (!routes()) return absent_biases_ ? output + absent_biases_->sum(0) : output;
  const NoisyLogits logits = logits_for(hidden, pass);
  return output + (stage_.visit_all ? mix_all(hidden, logits, pass) : visit_chosen(hidden, logits, pass));
}

at::Tensor TrainedMixture::mix_all(const at::Tensor& hidden, const NoisyLogits& logits, LayerPass& pass) const {
  const at::Tensor weights = mixing_weights(logits.noisy, rule_, top_k_, stage_.temperature);
  pass.visits = at::full({weights.size(1)}, hidden.size(0), at::kLong);
  at::Tensor output = experts_->visit_all(hidden, weights, pass.generator);
  if (absent_biases_) {
    // How often an expert of this weight is one of the top k.
    const at::Tensor visited = (at::softmax(logits.noisy / stage_.temperature, -1) * top_k_).clamp_max(1);
    output = output + at::matmul((1 - visited).to(hidden.scalar_type()), *absent_biases_);
  }
  return output;
}

at::Tensor TrainedMixture::visit_chosen(const at::Tensor& hidden, const NoisyLogits& logits, LayerPass& pass) const {
  const Routing routing = choose_experts(logits.noisy, router_.kind, rule_, top_k_);
  const int64_t num_experts = experts_->num_experts();
  pass.visits = count_visits(routing, num_experts);
  balance(logits, routing, pass);
  const at::Tensor visited = routing.visited.defined()
                                 ? routing.visited.to(at::kFloat)
                                 : at::ones(routing.experts.sizes(), routing.experts.options().dtype(at::kFloat));
  const at::Tensor visited_TE =
      at::zeros(logits.noisy.sizes(), visited.options()).scatter_(1, routing.experts, visited);

  at::Tensor output;
  if (grouping_pays()) {
    const ExpertDispatch dispatched = dispatch(routing, num_experts);
    at::Tensor outputs = experts_->visit_sorted(to_visits(dispatched, hidden), dispatched.counts, pass.generator);
    if (!weighs_nothing(rule_)) {
      const at::Tensor weights = routing.weights.flatten().index_select(0, dispatched.visits);
      outputs = outputs * weights.unsqueeze(1).to(hidden.scalar_type());
    }
    output = sum_of_visits(dispatched, outputs);
  } else {
    const at::Tensor weights_TE =
        at::zeros(visited_TE.sizes(), routing.weights.options()).scatter(1, routing.experts, routing.weights);
    output = experts_->visit_all(hidden, weights_TE, pass.generator);
  }
  if (absent_biases_) output = output + at::matmul((1 - visited_TE).to(hidden.scalar_type()), *absent_biases_);
  return output;
}

// Visits of narrow experts cost more in rows moved than the neurons that nobody visits cost in products.
bool TrainedMixture::grouping_pays() const {
  const int64_t width = experts_->num_neurons() / experts_->num_experts();
  return top_k_ * (width + kVisitOverhead) < experts_->num_neurons();
}

void TrainedMixture::balance(const NoisyLogits& logits, const Routing& routing, LayerPass& pass) const {
  if (stage_.importance_and_load > 0) {
    pass.balance_loss = stage_.importance_and_load *
                        importance_and_load_loss(logits, routing, rule_.scale, stage_.published_load_estimator);
  }
  if (stage_.switch_balance > 0) {
    const at::Tensor loss = stage_.switch_balance * switch_balance_loss(logits.clean, pass.visits);
    pass.balance_loss = pass.balance_loss.defined() ? pass.balance_loss + loss : loss;
  }
}

void TrainedMixture::add_parameters(const std::string& prefix, std::vector<TrainedParameter>& parameters) const {
  if (shared_) shared_->add_parameters(prefix + "shared", parameters);
  if (!routes()) return;
  experts_->add_parameters(prefix + "experts", parameters);
  for (const auto& [name, tensor] : router_.tensors) {
    if (stage_.router) parameters.push_back({prefix + "router." + name, tensor});
  }
  if (stage_.router && stage_.noise != RetrainStage::Noise::kNone) {
    parameters.push_back({prefix + "noise", noise_weight_});
  }
  if (rule_.expert_scale && stage_.expert_scale) {
    parameters.push_back({prefix + "expert_scale", *rule_.expert_scale, /*is_expert_scale=*/true});
  }
}

at::Tensor TrainedMixture::selection_bias() const {
  return routes() && stage_.selection_bias_step > 0 ? *rule_.selection_bias : at::Tensor();
}

void TrainedMixture::step_selection_bias(const at::Tensor& visits) {
  if (selection_bias().defined()) balance_selection_bias(*rule_.selection_bias, visits, stage_.selection_bias_step);
}

void TrainedMixture::write_to(LayerConversion& conversion) const {
  if (shared_) {
    std::vector<ExpertSpec> shared = {*conversion.shared};
    shared_->write_to(shared);
    conversion.shared = shared.front();
  }
  if (!routes()) return;
  experts_->write_to(conversion.experts);
  if (stage_.router) {
    for (const auto& [name, tensor] : router_.tensors) conversion.router.tensors[name] = tensor.detach().clone();
  }
  if (rule_.expert_scale && stage_.expert_scale) conversion.rule.expert_scale = rule_.expert_scale->detach().clone();
  if (selection_bias().defined()) conversion.rule.selection_bias = selection_bias().clone();
}

ExpertSpec TrainedMixture::dense_expert() const {
  std::vector<ExpertSpec> expert(1);
  shared_->write_to(expert);
  return expert.front();
}

}  // namespace moebench
