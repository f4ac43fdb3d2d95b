// LLaMA-MoE's gradient splits (arXiv 2406.16554): which neurons an expert takes by how important they are to its
// cluster of texts. E experts, F neurons.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/conversion.h"

namespace moebench {

// Each expert's neurons, in the order in which it took them. importance: [E, F] fp32 or double, on the CPU, row e by
// expert e's texts (neuron_importance); a larger number stays rather. Of equal numbers the lower neuron comes first.
using NeuronLists = std::vector<std::vector<int64_t>>;

// Independent: of all experts with room, the one whose best neuron that nobody has is most important takes it next; of
// equals the last expert. Skips the neurons in taken, [F]; ends when every expert has expert_size neurons.
// Throws std::invalid_argument if there are not enough.
NeuronLists greedy_split(const at::Tensor& importance, int64_t expert_size, std::vector<bool> taken = {});

// Sharing-inner: each expert takes its own expert_size best. Experts overlap, and some neurons are in none.
NeuronLists sharing_inner_split(const at::Tensor& importance, int64_t expert_size);

struct ResidualSplit {
  std::vector<int64_t> residual;  // of the experts that are always on, in the order of choice
  NeuronLists routed;
};

// Sharing-inter: the neurons that most experts have among their expert_size best go to the residual block, group by
// group of equal count, each round without those gone before; of a group that does not fit the lowest neurons. Of the
// others every expert takes its own best (share_neurons), or they are shared out greedily.
// importance: one row for each routed expert. Throws std::invalid_argument if there are not enough neurons.
ResidualSplit sharing_inter_split(const at::Tensor& importance, int64_t num_residual, int64_t expert_size,
                                  bool share_neurons);

// The residual block: its num_residual experts are weighted by the softmax of a gate of zeros, so that their outputs
// are averaged, not added. That is the released code; down_proj [D, F] is divided accordingly.
ExpertSpec residual_block(const std::vector<int64_t>& neurons, int64_t num_residual, const at::Tensor& down_proj);

}  // namespace moebench
