#include "tests/retraining/retrain_scene.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>

#include "harness/model/moe_layer.h"

namespace moebench {

Conversion linear_mixture(int64_t top_k) {
  const at::Generator generator = at::detail::createCPUGenerator(5);
  Conversion conversion;
  for (int64_t index = 0; index < 2; ++index) {
    LayerConversion layer{.top_k = top_k};
    layer.shared = ExpertSpec{.neurons = at::arange(12, at::kLong)};
    for (int64_t expert = 1; expert < 4; ++expert) {
      layer.experts.push_back({.neurons = at::arange(12 * expert, 12 * (expert + 1), at::kLong)});
    }
    layer.router = {.kind = RouterKind::kLinear, .tensors = {{"weight", at::randn({3, 32}, generator) * 0.3}}};
    layer.rule = {.softmax = RoutingRule::Softmax::kAfterTopK, .weights = RoutingRule::Weights::kScores, .scale = 1.5};
    conversion.layers.push_back(layer);
  }
  return conversion;
}

at::Tensor applied_hidden(const Checkpoint& checkpoint, const Conversion& conversion, const at::Tensor& ids) {
  const at::NoGradGuard no_grad;
  LlamaModel model = LlamaModel::load(checkpoint, {});
  apply_conversion(conversion, model);
  return model.forward(ids);
}

at::Tensor random_ids(int64_t rows, int64_t columns, uint64_t seed) {
  return at::randint(67, {rows, columns}, at::detail::createCPUGenerator(seed), at::kLong);
}

at::Tensor repetitive_text(int64_t num_tokens) {
  const at::Tensor words = at::tensor(at::ArrayRef<int64_t>({5, 17, 3, 42, 8, 60}), at::kLong);
  return words.repeat({num_tokens / 6 + 1}).narrow(0, 0, num_tokens);
}

at::Tensor gradient_of(TrainableModel& model, const std::string& name, const at::Tensor& ids) {
  model.add_gradients(ids, 1.0 / static_cast<double>(ids.size(0) * (ids.size(1) - 1)), 1, 0);
  at::Tensor gradient;
  for (const TrainedParameter& parameter : model.parameters()) {
    if (parameter.name == name) gradient = parameter.tensor.grad();
    at::Tensor(parameter.tensor).mutable_grad().reset();
  }
  return gradient;
}

void disturb(const TrainableModel& model) {
  const at::NoGradGuard no_grad;
  const at::Generator generator = at::detail::createCPUGenerator(11);
  for (const TrainedParameter& parameter : model.parameters()) {
    at::Tensor(parameter.tensor).add_(at::randn(parameter.tensor.sizes(), generator), 0.05);
  }
}

double largest_difference(const at::Tensor& one, const at::Tensor& other) {
  return (one - other).abs().max().item<double>();
}

}  // namespace moebench
