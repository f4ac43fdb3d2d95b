// A model's feed-forward networks for kernels/timing: converted ones beside the dense ones that they replace, on inputs
// that they really see.
#pragma once

#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/model/fused_feed_forward.h"
#include "harness/model/llama.h"
#include "kernels/timing/ffn_latency.h"

namespace moebench {

// The dense parent: the same weights with dense feed-forward networks, by the kernel that mixtures run by, whatever the
// dtype: what they are compared with is at its best.
LlamaModel with_dense_feed_forward(const LlamaModel& model);

// Whether a feed-forward network is a bound (an oracle router, a token's top neurons), which no kernel computes.
bool has_bound(const LlamaModel& model);

// Refers to the networks and inputs that it holds.
struct ModelStacks {
  std::vector<KernelNetwork> networks;
  std::vector<at::Tensor> inputs;           // of each layer, [T, D]
  std::vector<kernels::LayerStack> stacks;  // "dense" and, of a converted model, "converted"
};

// model: with its conversion applied, on the CPU. ids: [T], a text whose tokens are routed. A layer that the conversion
// kept dense is dense in both stacks. Throws std::invalid_argument where has_bound, and
// std::runtime_error on a processor that has no kernel.
ModelStacks model_stacks(const LlamaModel& model, const at::Tensor& ids);

}  // namespace moebench
