// What the language-modelling loss says of each neuron: activations and gradients of h = silu(gate x) * (up x), the
// input of down_proj, from a forward and a backward pass of the dense model. Nothing is trained.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/model/llama.h"

namespace moebench {

// One layer's FFN on one window. T tokens, D hidden_size, F intermediate_size.
struct NeuronGradients {
  int64_t window = 0, layer = 0;
  const at::Tensor& inputs;       // [T, D] of the FFN, after the norm
  const at::Tensor& activations;  // [T, F], h
  const at::Tensor& gradients;    // [T, F], dL/dh; L is the window's mean cross-entropy of the next token
};

// Visits every layer of every window: windows in order, of each the last layer first. windows: each [T] int64, T >= 2;
// lengths may differ. The tensors visited are in precision's dtype and may be kept. One layer's graph exists at a time:
// the peak is the model, one layer's intermediates, and [T, D] for each layer. progress may be empty and is called
// after every window. Throws std::invalid_argument for a window without a next token to predict.
void for_each_neuron_gradient(const Checkpoint& checkpoint, const Precision& precision,
                              const std::vector<at::Tensor>& windows,
                              const std::function<void(const NeuronGradients&)>& visit,
                              const std::function<void(double fraction)>& progress = {});

// How gradients become one number a neuron and cluster of texts. The defaults are those of LLaMA-MoE (arXiv
// 2406.16554): sum over tokens of |h dL/dh|.
struct ImportanceOptions {
  enum class Kernel { kL1Norm, kL2Norm };  // |v|, or v^2
  enum class Accumulate {
    kSample,  // the kernel of each token, then the sum
    kTotal,   // the sum over a window's tokens, then the kernel
  };
  enum class Quantity { kFeatureChange, kFeatureGradient };  // h dL/dh, or dL/dh
  Kernel kernel = Kernel::kL1Norm;
  Accumulate accumulate = Accumulate::kSample;
  Quantity quantity = Quantity::kFeatureChange;
};

// clusters: per cluster of texts [num_windows, window] int64, as text_clusters.h makes them. Returns per layer
// [num_clusters, intermediate_size] fp32 on the CPU: the accumulated kernel, divided by the cluster's sum of
// (window - 1) as the released code does.
std::vector<at::Tensor> neuron_importance(const Checkpoint& checkpoint, const Precision& precision,
                                          const std::vector<at::Tensor>& clusters,
                                          const ImportanceOptions& options = {},
                                          const std::function<void(double fraction)>& progress = {});

}  // namespace moebench
