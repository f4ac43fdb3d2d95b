#include "harness/adjustment/moe_readout.h"

#include <algorithm>
#include <utility>

#include <ATen/ATen.h>

#include "harness/adjustment/expert_parts.h"

namespace moebench {
namespace {

bool any_has(const std::vector<ExpertSpec>& experts, std::optional<at::Tensor> ExpertSpec::*bias) {
  return std::ranges::any_of(experts, [&](const ExpertSpec& expert) { return (expert.*bias).has_value(); });
}

bool visits_all(const LayerConversion& conversion) {
  return conversion.rule.visits == RoutingRule::Visits::kTopK &&
         conversion.top_k == static_cast<int64_t>(conversion.experts.size());
}

}  // namespace

MoeReadout::MoeReadout(const GatedMlpWeights& dense, const LayerConversion& conversion)
    : dense_(dense),
      conversion_(conversion),
      layer_(dense, conversion),
      has_absent_((conversion.shared && !visits_all(conversion)) ||
                  any_has(conversion.experts, &ExpertSpec::absent_bias)),
      has_output_(!conversion.shared || any_has(conversion.experts, &ExpertSpec::output_bias)) {
  std::vector<at::Tensor> owners = {at::empty({0}, at::kLong)};
  const int64_t num_experts = static_cast<int64_t>(conversion_.experts.size());
  for (int64_t expert = 0; expert < num_experts; ++expert) {
    owners.push_back(at::full({layer_.expert_intermediate_size(expert)}, expert, at::kLong));
  }
  owner_ = at::cat(owners).to(dense.gate_proj.device());
  num_neurons_ = owner_.numel();
  if (conversion_.shared) num_neurons_ += expert_down_proj(*conversion_.shared, dense_).size(1);
  num_biases_ = (has_absent_ ? num_experts : 0) + (has_output_ ? num_experts : 0) + (conversion_.shared ? 1 : 0);
}

std::vector<ExpertSpec*> MoeReadout::experts_of(LayerConversion& conversion) const {
  std::vector<ExpertSpec*> experts;
  if (conversion.shared) experts.push_back(&*conversion.shared);
  for (ExpertSpec& expert : conversion.experts) experts.push_back(&expert);
  return experts;
}

std::vector<std::optional<at::Tensor>*> MoeReadout::biases_of(LayerConversion& conversion) const {
  std::vector<std::optional<at::Tensor>*> biases;
  if (has_absent_) {
    for (ExpertSpec& expert : conversion.experts) biases.push_back(&expert.absent_bias);
  }
  if (has_output_) {
    for (ExpertSpec& expert : conversion.experts) biases.push_back(&expert.output_bias);
  }
  if (conversion.shared) biases.push_back(&conversion.shared->output_bias);
  return biases;
}

at::Tensor MoeReadout::features(const at::Tensor& inputs) const {
  const at::Tensor dense_activations = gated_activations(dense_, inputs);
  const RoutingMatrix routing = routing_matrix(layer_, inputs);
  std::vector<at::Tensor> routed = {at::empty({inputs.size(0), 0}, inputs.options())}, parts;
  for (const ExpertSpec& expert : conversion_.experts) {
    routed.push_back(expert_activations(expert, inputs, dense_activations));
  }
  if (conversion_.shared) {
    parts.push_back(expert_activations(*conversion_.shared, inputs, dense_activations).to(at::kFloat));
  }
  parts.push_back(at::cat(routed, 1).to(at::kFloat).mul_(routing.weights.index_select(1, owner_)));
  if (has_absent_) parts.push_back(routing.visited.logical_not().to(at::kFloat));
  if (has_output_) parts.push_back(routing.weights);
  if (conversion_.shared) parts.push_back(at::ones({inputs.size(0), 1}, routing.weights.options()));
  return at::cat(parts, 1);
}

at::Tensor MoeReadout::rows() const {
  LayerConversion conversion = conversion_;
  std::vector<at::Tensor> rows;
  for (const ExpertSpec* expert : experts_of(conversion)) {
    rows.push_back(expert_down_proj(*expert, dense_).t().to(at::kCPU, at::kDouble));
  }
  const at::Tensor none = at::zeros({dense_.down_proj.size(0)}, at::kDouble);
  for (const std::optional<at::Tensor>* bias : biases_of(conversion)) {
    rows.push_back((*bias ? (*bias)->to(at::kCPU, at::kDouble) : none).unsqueeze(0));
  }
  return at::cat(rows);
}

LayerConversion MoeReadout::with_rows(const at::Tensor& rows) const {
  LayerConversion conversion = conversion_;
  const at::Tensor stored = rows.to(dense_.down_proj.scalar_type());
  int64_t first = 0;
  const auto take = [&](int64_t count) { return stored.narrow(0, std::exchange(first, first + count), count); };
  for (ExpertSpec* expert : experts_of(conversion)) {
    set_expert_down_proj(*expert, take(expert_down_proj(*expert, dense_).size(1)).t().contiguous());
  }
  for (std::optional<at::Tensor>* bias : biases_of(conversion)) *bias = take(1).squeeze(0).clone();
  return conversion;
}

}  // namespace moebench
