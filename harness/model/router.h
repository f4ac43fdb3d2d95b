// From hidden states to chosen experts. T tokens, D hidden_size, E routed experts, K top_k.
#pragma once

#include <ATen/core/Tensor.h>

#include "harness/conversion.h"

namespace moebench {

// Which experts a chunk of tokens visited.
struct Routing {
  at::Tensor experts;  // [T, K] int64, best first; of equal scores the lower index first
  at::Tensor weights;  // [T, K] fp32, what the experts' outputs are multiplied by; 0 where not visited
  at::Tensor visited;  // [T, K] bool, of an adaptive rule: the first of each token's experts. Undefined: all
};

// hidden: [T, D]. Returns [T, E] fp32. Not for kOracle, whose logits are the experts' output norms, and kStatic.
at::Tensor router_logits(const RouterSpec& router, const at::Tensor& hidden);

// router_logits: [T, E] fp32. The oracle chooses by its logits alone: a softmax over large norms would tie.
Routing choose_experts(const at::Tensor& router_logits, RouterKind kind, const RoutingRule& rule, int64_t top_k);

}  // namespace moebench
