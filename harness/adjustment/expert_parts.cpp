#include "harness/adjustment/expert_parts.h"

#include <ATen/ATen.h>

namespace moebench {
namespace {

void add_output_bias(ExpertSpec& expert, const at::Tensor& bias) {
  expert.output_bias = expert.output_bias ? (*expert.output_bias + bias).to(expert.output_bias->scalar_type()) : bias;
}

}  // namespace

at::Tensor expert_activations(const ExpertSpec& expert, const at::Tensor& inputs, const at::Tensor& dense_activations) {
  const at::Tensor activations = expert.own_weights
                                     ? gated_activations(*expert.own_weights, inputs)
                                     : dense_activations.index_select(1, expert.neurons.to(inputs.device()));
  if (expert.top_neurons == 0) return activations;
  const at::Tensor kept = std::get<1>(activations.abs().topk(expert.top_neurons, 1));
  return at::zeros_like(activations).scatter_(1, kept, activations.gather(1, kept));
}

at::Tensor expert_down_proj(const ExpertSpec& expert, const GatedMlpWeights& dense) {
  if (expert.own_weights) return expert.own_weights->down_proj;
  if (expert.down_proj) return *expert.down_proj;
  return dense.down_proj.index_select(1, expert.neurons.to(dense.down_proj.device()));
}

void set_expert_down_proj(ExpertSpec& expert, const at::Tensor& down_proj) {
  if (expert.own_weights) {
    expert.own_weights->down_proj = down_proj;
  } else {
    expert.down_proj = down_proj;
  }
}

RoutingMatrix routing_matrix(const MoeLayer& layer, const at::Tensor& inputs) {
  const Routing routing = layer.route(inputs);
  const at::Tensor visited = routing.visited.defined() ? routing.visited : at::ones_like(routing.experts, at::kBool);
  const at::Tensor none = at::zeros({inputs.size(0), layer.num_experts()}, routing.weights.options());
  return {none.to(at::kBool).scatter(1, routing.experts, visited), none.scatter(1, routing.experts, routing.weights)};
}

void add_constant_output(LayerConversion& conversion, const at::Tensor& bias, double mean_weight) {
  if (conversion.shared) return add_output_bias(*conversion.shared, bias);
  for (ExpertSpec& expert : conversion.experts) add_output_bias(expert, bias / mean_weight);
}

}  // namespace moebench
