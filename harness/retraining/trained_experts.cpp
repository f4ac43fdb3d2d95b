#include "harness/retraining/trained_experts.h"

#include <algorithm>
#include <numeric>

#include <ATen/ATen.h>

#include "harness/retraining/layer_functions.h"

namespace moebench {
namespace {

// Of each row, the largest by |h|; the others 0.
at::Tensor largest_only(const at::Tensor& activations, int64_t count) {
  const at::Tensor kept = std::get<1>(activations.detach().abs().topk(count, 1));
  return activations * at::zeros_like(activations).scatter_(1, kept, 1);
}

// Block e of the columns times column e of weights.
at::Tensor scale_blocks(const at::Tensor& activations_TN, const at::Tensor& weights_TE, at::IntArrayRef widths) {
  const int64_t num_tokens = activations_TN.size(0), num_experts = static_cast<int64_t>(widths.size());
  const bool is_even = std::all_of(widths.begin(), widths.end(), [&](int64_t width) { return width == widths[0]; });
  if (is_even) {
    return (activations_TN.view({num_tokens, num_experts, widths[0]}) * weights_TE.unsqueeze(2)).flatten(1);
  }
  std::vector<at::Tensor> blocks = activations_TN.split_with_sizes(widths, 1);
  for (int64_t expert = 0; expert < num_experts; ++expert) {
    blocks[expert] = blocks[expert] * weights_TE.narrow(1, expert, 1);
  }
  return at::cat(blocks, 1);
}

std::optional<at::Tensor> stack_output_biases(const std::vector<ExpertSpec>& experts, int64_t hidden_size,
                                              at::ScalarType dtype) {
  const auto has_bias = [](const ExpertSpec& expert) { return expert.output_bias.has_value(); };
  if (std::none_of(experts.begin(), experts.end(), has_bias)) return std::nullopt;
  at::Tensor biases = at::zeros({static_cast<int64_t>(experts.size()), hidden_size}, dtype);
  for (size_t expert = 0; expert < experts.size(); ++expert) {
    if (experts[expert].output_bias) biases[static_cast<int64_t>(expert)].copy_(*experts[expert].output_bias);
  }
  return biases;
}

}  // namespace

GatedMlpWeights expert_weights(const GatedMlpWeights& dense, const ExpertSpec& spec) {
  const auto cut = [&](const at::Tensor& weight, int64_t dimension) {
    return weight.index_select(dimension, spec.neurons).to(at::kFloat);
  };
  GatedMlpWeights weights;
  if (spec.own_weights) {
    weights = {spec.own_weights->gate_proj.to(at::kFloat), spec.own_weights->up_proj.to(at::kFloat),
               spec.own_weights->down_proj.to(at::kFloat)};
  } else {
    weights = {cut(dense.gate_proj, 0), cut(dense.up_proj, 0),
               spec.down_proj ? spec.down_proj->to(at::kFloat) : cut(dense.down_proj, 1)};
  }
  return {updated(weights.gate_proj, spec.updates.gate_proj), updated(weights.up_proj, spec.updates.up_proj),
          updated(weights.down_proj, spec.updates.down_proj)};
}

TrainedExperts::TrainedExperts(const GatedMlpWeights& dense, const std::vector<ExpertSpec>& experts,
                               const WeightTraining& training, at::ScalarType dtype, at::Generator& generator) {
  std::vector<at::Tensor> gate, up, down;
  for (const ExpertSpec& expert : experts) {
    const GatedMlpWeights weights = expert_weights(dense, expert);
    gate.push_back(weights.gate_proj);
    up.push_back(weights.up_proj);
    down.push_back(weights.down_proj.t());
    widths_.push_back(weights.gate_proj.size(0));
    top_neurons_.push_back(expert.top_neurons);
  }
  using Direction = TrainedWeight::Direction;
  gate_ = TrainedWeight(at::cat(gate), widths_, Direction::kToBlocks, training, dtype, generator);
  up_ = TrainedWeight(at::cat(up), widths_, Direction::kToBlocks, training, dtype, generator);
  down_ = TrainedWeight(at::cat(down), widths_, Direction::kFromBlocks, training, dtype, generator);
  output_biases_ = stack_output_biases(experts, dense.gate_proj.size(1), dtype);
}

int64_t TrainedExperts::num_neurons() const { return std::accumulate(widths_.begin(), widths_.end(), int64_t{0}); }

at::Tensor TrainedExperts::activations(const StackedFactors& gate, const StackedFactors& up, const at::Tensor& hidden,
                                       at::Generator& generator) const {
  return gated_product(gate_.apply(gate, hidden, generator), up_.apply(up, hidden, generator));
}

at::Tensor TrainedExperts::visit_all(const at::Tensor& hidden, const at::Tensor& weights,
                                     at::Generator& generator) const {
  at::Tensor activations_TN = activations(gate_.factors(), up_.factors(), hidden, generator);
  const auto is_limited = [](int64_t top_neurons) { return top_neurons > 0; };
  if (std::any_of(top_neurons_.begin(), top_neurons_.end(), is_limited)) {
    std::vector<at::Tensor> blocks = activations_TN.split_with_sizes(widths_, 1);
    for (size_t expert = 0; expert < blocks.size(); ++expert) {
      if (top_neurons_[expert] > 0) blocks[expert] = largest_only(blocks[expert], top_neurons_[expert]);
    }
    activations_TN = at::cat(blocks, 1);
  }
  const at::Tensor factors_TE = weights.defined() ? weights.to(hidden.scalar_type()) : weights;
  if (weights.defined()) activations_TN = scale_blocks(activations_TN, factors_TE, widths_);
  const at::Tensor output_TD = down_.apply(down_.factors(), activations_TN, generator);
  if (!output_biases_) return output_TD;
  return output_TD + (weights.defined() ? at::matmul(factors_TE, *output_biases_) : output_biases_->sum(0));
}

at::Tensor TrainedExperts::visit_sorted(const at::Tensor& hidden, const std::vector<int64_t>& counts,
                                        at::Generator& generator) const {
  const std::vector<StackedFactors> gate = gate_.blocks(), up = up_.blocks(), down = down_.blocks();
  const std::vector<at::Tensor> rows = hidden.split_with_sizes(counts);
  std::vector<at::Tensor> outputs;
  for (size_t expert = 0; expert < counts.size(); ++expert) {
    if (counts[expert] == 0) continue;
    at::Tensor block = activations(gate[expert], up[expert], rows[expert], generator);
    if (top_neurons_[expert] > 0) block = largest_only(block, top_neurons_[expert]);
    at::Tensor output = down_.apply(down[expert], block, generator);
    if (output_biases_) output = output + output_biases_->select(0, static_cast<int64_t>(expert));
    outputs.push_back(output);
  }
  return at::cat(outputs);
}

void TrainedExperts::add_parameters(const std::string& name, std::vector<TrainedParameter>& parameters) const {
  gate_.add_parameters(name + ".gate_proj", parameters);
  up_.add_parameters(name + ".up_proj", parameters);
  down_.add_parameters(name + ".down_proj", parameters);
}

void TrainedExperts::write_to(std::vector<ExpertSpec>& experts) const {
  for (size_t expert = 0; expert < experts.size(); ++expert) {
    ExpertSpec& spec = experts[expert];
    if (gate_.is_replaced()) {
      spec.own_weights = {gate_.block_weight(expert), up_.block_weight(expert), down_.block_weight(expert)};
      spec.down_proj.reset();
      spec.updates = {};
    } else if (gate_.is_updated()) {
      spec.updates.gate_proj = joined(spec.updates.gate_proj, gate_.block_update(expert));
      spec.updates.up_proj = joined(spec.updates.up_proj, up_.block_update(expert));
      spec.updates.down_proj = joined(spec.updates.down_proj, down_.block_update(expert));
    }
  }
}

}  // namespace moebench
