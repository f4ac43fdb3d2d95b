#include "methods/neuron_split.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>

#include "methods/layout.h"

namespace moebench {
namespace {

// Per expert all neurons, the most important first.
NeuronLists ranked_neurons(const at::Tensor& importance) {
  const at::Tensor order = importance.argsort(/*stable=*/true, /*dim=*/1, /*descending=*/true).contiguous();
  NeuronLists ranked;
  for (int64_t expert = 0; expert < order.size(0); ++expert) {
    const int64_t* first = order.const_data_ptr<int64_t>() + expert * order.size(1);
    ranked.emplace_back(first, first + order.size(1));
  }
  return ranked;
}

NeuronLists best_of(NeuronLists ranked, int64_t expert_size) {
  for (std::vector<int64_t>& neurons : ranked) neurons.resize(expert_size);
  return ranked;
}

void check_room(int64_t wanted, int64_t num_neurons) {
  if (wanted > num_neurons) {
    throw std::invalid_argument("neuron split: the experts want " + std::to_string(wanted) + " neurons of " +
                                std::to_string(num_neurons));
  }
}

// How many experts have each neuron among their expert_size best.
std::vector<int64_t> counts_among_best(const NeuronLists& ranked, int64_t expert_size, int64_t num_neurons) {
  std::vector<int64_t> counts(num_neurons);
  for (const std::vector<int64_t>& neurons : ranked) {
    for (int64_t rank = 0; rank < expert_size; ++rank) ++counts[neurons[rank]];
  }
  return counts;
}

}  // namespace

NeuronLists greedy_split(const at::Tensor& importance, int64_t expert_size, std::vector<bool> taken) {
  const int64_t num_experts = importance.size(0), num_neurons = importance.size(1);
  taken.resize(num_neurons);
  check_room(num_experts * expert_size, std::ranges::count(taken, false));
  const NeuronLists ranked = ranked_neurons(importance);
  const at::Tensor numbers = importance.to(at::kDouble).contiguous();
  const double* values = numbers.const_data_ptr<double>();
  NeuronLists experts(num_experts);
  std::vector<int64_t> rank(num_experts);  // of each expert's best neuron that may still be free
  for (int64_t step = 0; step < num_experts * expert_size; ++step) {
    int64_t taker = -1;
    double most = 0;
    for (int64_t expert = 0; expert < num_experts; ++expert) {
      if (std::ssize(experts[expert]) == expert_size) continue;
      while (taken[ranked[expert][rank[expert]]]) ++rank[expert];
      const double value = values[expert * num_neurons + ranked[expert][rank[expert]]];
      if (taker >= 0 && value < most) continue;
      taker = expert;
      most = value;
    }
    const int64_t neuron = ranked[taker][rank[taker]];
    experts[taker].push_back(neuron);
    taken[neuron] = true;
  }
  return experts;
}

NeuronLists sharing_inner_split(const at::Tensor& importance, int64_t expert_size) {
  check_room(expert_size, importance.size(1));
  return best_of(ranked_neurons(importance), expert_size);
}

ResidualSplit sharing_inter_split(const at::Tensor& importance, int64_t num_residual, int64_t expert_size,
                                  bool share_neurons) {
  const int64_t num_neurons = importance.size(1), residual_size = num_residual * expert_size;
  check_room(residual_size + (share_neurons ? 1 : importance.size(0)) * expert_size, num_neurons);
  NeuronLists ranked = ranked_neurons(importance);
  ResidualSplit split;
  std::vector<bool> in_residual(num_neurons);
  while (std::ssize(split.residual) < residual_size) {
    const std::vector<int64_t> counts = counts_among_best(ranked, expert_size, num_neurons);
    const int64_t most = std::ranges::max(counts);
    for (int64_t neuron = 0; neuron < num_neurons && std::ssize(split.residual) < residual_size; ++neuron) {
      if (counts[neuron] != most) continue;
      split.residual.push_back(neuron);
      in_residual[neuron] = true;
    }
    for (std::vector<int64_t>& neurons : ranked) {
      std::erase_if(neurons, [&](int64_t neuron) { return in_residual[neuron]; });
    }
  }
  split.routed = share_neurons ? best_of(std::move(ranked), expert_size)
                               : greedy_split(importance, expert_size, std::move(in_residual));
  return split;
}

ExpertSpec residual_block(const std::vector<int64_t>& neurons, int64_t num_residual, const at::Tensor& down_proj) {
  ExpertSpec block = expert_of(neurons);
  if (num_residual > 1) {
    block.down_proj = down_proj.index_select(1, block.neurons.to(down_proj.device())) / num_residual;
  }
  return block;
}

}  // namespace moebench
