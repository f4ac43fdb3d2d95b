#include "methods/llama_moe_gate.h"

#include <ATen/ATen.h>

#include "methods/random_linear.h"

namespace moebench {
namespace {

void set_rule(LayerConversion& conversion, double score_scale) {
  conversion.rule.softmax = RoutingRule::Softmax::kAfterTopK;
  conversion.rule.weights = RoutingRule::Weights::kScores;
  conversion.rule.scale = score_scale;
}

}  // namespace

double published_score_scale(const MoeShape& shape) {
  return static_cast<double>(shape.num_experts) / static_cast<double>(shape.num_shared_experts + shape.top_k);
}

void set_tanh_gate(LayerConversion& conversion, const DenseLayer& layer, double score_scale,
                   const at::Generator& generator) {
  const at::Tensor& gate_proj = layer.weights.gate_proj;
  const auto num_experts = static_cast<int64_t>(conversion.experts.size());
  const at::Tensor first = default_linear_weight(num_experts, gate_proj.size(1), generator, gate_proj.scalar_type());
  const at::Tensor second = default_linear_weight(num_experts, num_experts, generator, gate_proj.scalar_type());
  conversion.router = {.kind = RouterKind::kTanhMlp, .tensors = {{"first", first}, {"second", second}}};
  set_rule(conversion, score_scale);
}

void set_zero_linear_gate(LayerConversion& conversion, const DenseLayer& layer, double score_scale) {
  const at::Tensor& gate_proj = layer.weights.gate_proj;
  const auto num_experts = static_cast<int64_t>(conversion.experts.size());
  const at::Tensor weight = at::zeros({num_experts, gate_proj.size(1)}, gate_proj.scalar_type());
  conversion.router = {.kind = RouterKind::kLinear, .tensors = {{"weight", weight}}};
  set_rule(conversion, score_scale);
}

}  // namespace moebench
