// Reading and rewriting the experts of a layer's conversion, as a method's convert gives them (without low-rank
// updates). T tokens, D hidden_size, F expert_intermediate_size, E routed experts.
#pragma once

#include <ATen/core/Tensor.h>

#include "harness/conversion.h"
#include "harness/model/feed_forward.h"
#include "harness/model/moe_layer.h"

namespace moebench {

// What the expert's down projection reads, [T, F] in the layer's dtype.
// dense_activations: [T, intermediate_size], of the same inputs.
at::Tensor expert_activations(const ExpertSpec& expert, const at::Tensor& inputs, const at::Tensor& dense_activations);

// [D, F], in the layer's dtype.
at::Tensor expert_down_proj(const ExpertSpec& expert, const GatedMlpWeights& dense);
void set_expert_down_proj(ExpertSpec& expert, const at::Tensor& down_proj);

// Who goes where.
struct RoutingMatrix {
  at::Tensor visited;  // [T, E] bool
  at::Tensor weights;  // [T, E] fp32; 0 where not visited
};
RoutingMatrix routing_matrix(const MoeLayer& layer, const at::Tensor& inputs);

// Adds a vector to the output of every token: by the shared expert, or, where there is none, by every routed expert in
// proportion to its weight, which is the same for all tokens if their weights have the same sum; else it is so on
// average. mean_weight: the mean over tokens of that sum.
void add_constant_output(LayerConversion& conversion, const at::Tensor& bias, double mean_weight);

}  // namespace moebench
