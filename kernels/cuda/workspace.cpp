#include "kernels/cuda/workspace.h"

#include <algorithm>

namespace moebench::kernels::cuda {
namespace {

DeviceMemory memory(int64_t count, int64_t bytes, const std::string& name) {
  return {static_cast<size_t>(count * bytes), "most_tokens: " + name};
}

int64_t chunks_of(int64_t elements, Dtype dtype) {
  return elements * element_size(dtype) / static_cast<int64_t>(sizeof(uint4));
}

}  // namespace

FewWorkspace::FewWorkspace(const NetworkMemory& memory_of_network, Dtype dtype) {
  const DeviceNetwork& network = memory_of_network.network();
  const int64_t num_experts = network.num_experts + 1;
  const int64_t most_visited = std::min<int64_t>(network.num_experts, kFewTokens * network.top_k) + 1;
  few_.row_chunks = chunks_of(std::max(memory_of_network.widest_routed(), memory_of_network.shared_width()), dtype);
  counters_ = memory(2, sizeof(int32_t), "counters");
  check(cudaMemset(counters_.data<void>(), 0, 2 * sizeof(int32_t)), "counters");
  visited_ = memory(num_experts, sizeof(int32_t), "visited experts");
  masks_ = memory(num_experts, sizeof(uint32_t), "visited experts");
  weights_ = memory(num_experts * kFewTokens, sizeof(float), "routing weights");
  activations_ = memory(most_visited * kFewTokens * few_.row_chunks, sizeof(uint4), "activations");
  few_.ticket = counters_.data<uint32_t>();
  few_.num_visited = counters_.data<int32_t>() + 1;
  few_.visited = visited_.data<int32_t>();
  few_.masks = masks_.data<uint32_t>();
  few_.weights = weights_.data<float>();
  few_.activations = activations_.data<uint4>();
}

ManyWorkspace::ManyWorkspace(const NetworkMemory& memory_of_network, Dtype dtype, int64_t most_tokens,
                             bool is_composite) {
  const DeviceNetwork& network = memory_of_network.network();
  const int64_t num_experts = network.num_experts + 1;
  const int64_t routed_visits = most_tokens * network.top_k;
  const int64_t visits = routed_visits + (network.has_shared ? most_tokens : 0);
  const int64_t input_chunks = chunks_of(network.padded_hidden_size, dtype);
  many_.activation_chunks = chunks_of(padded(memory_of_network.widest_routed(), kTileNeurons), dtype);
  many_.shared_chunks = chunks_of(padded(memory_of_network.shared_width(), kTileNeurons), dtype);
  many_.contribution_chunks = chunks_of(padded(network.hidden_size, kTileRows), dtype);

  starts_ = memory(2 * num_experts, sizeof(int32_t), "visits of experts");
  visit_tokens_ = memory(visits, sizeof(int32_t), "visits");
  visit_weights_ = memory(visits, sizeof(float), "visits");
  positions_ = memory(routed_visits, sizeof(int32_t), "visits of tokens");
  activations_ = memory(routed_visits * many_.activation_chunks, sizeof(uint4), "activations");
  shared_activations_ = memory(most_tokens * many_.shared_chunks, sizeof(uint4), "the shared expert's activations");
  contributions_ = memory(visits * many_.contribution_chunks, sizeof(uint4), "experts' outputs");
  if (is_composite) {
    gathered_ = memory(routed_visits * input_chunks, sizeof(uint4), "gathered inputs");
    gate_up_ = memory(2 * routed_visits * many_.activation_chunks, sizeof(uint4), "gate and up");
    // Its pointer says that there is a step between products and activations, so it is never null.
    if (gate_up_.data<void>() == nullptr) gate_up_ = memory(1, sizeof(uint4), "gate and up");
    shared_gate_up_ = memory(2 * most_tokens * many_.shared_chunks, sizeof(uint4), "the shared expert's gate and up");
  }
  many_.first_visit = starts_.data<int32_t>();
  many_.num_visits = starts_.data<int32_t>() + num_experts;
  many_.visit_tokens = visit_tokens_.data<int32_t>();
  many_.visit_weights = visit_weights_.data<float>();
  many_.positions = positions_.data<int32_t>();
  many_.gathered = gathered_.data<uint4>();
  many_.gate_up = gate_up_.data<uint4>();
  many_.shared_gate_up = shared_gate_up_.data<uint4>();
  many_.activations = activations_.data<uint4>();
  many_.shared_activations = shared_activations_.data<uint4>();
  many_.contributions = contributions_.data<uint4>();
}

CallWorkspace::CallWorkspace(const DeviceNetwork& network, Dtype dtype, int64_t most_tokens)
    : rows(memory(most_tokens * chunks_of(network.padded_hidden_size, dtype), sizeof(uint4), "inputs")),
      experts(memory(most_tokens * network.top_k, sizeof(int32_t), "assignments")),
      weights(memory(most_tokens * network.top_k, sizeof(float), "assignments")) {}

}  // namespace moebench::kernels::cuda
