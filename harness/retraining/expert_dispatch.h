// Tokens brought to the experts that they visit and their outputs brought back. T tokens, K top_k.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/model/router.h"

namespace moebench {

// Visits in order of their expert, those of one expert in order of their token, and behind each expert's as many rows
// of padding as make their number a multiple of some block: a product in each of the many sizes that are not would have
// to be prepared anew. P rows with the padding.
struct ExpertDispatch {
  at::Tensor visits;  // [P] int64: which of the T * K flat entries of Routing::experts; padding: 0
  at::Tensor tokens;  // [P] int64; padding: T
  at::Tensor places;  // [T, K] int64: in which of the P rows a token's visits stand; P where it does not visit
  std::vector<int64_t> counts;  // [E] rows of each expert, padding included
};

ExpertDispatch dispatch(const Routing& routing, int64_t num_experts);

// Both are differentiable, and each is the other's gradient; what stands in the padding reaches no token.
// hidden: [T, D] → [P, D].
at::Tensor to_visits(const ExpertDispatch& dispatch, const at::Tensor& hidden);
// outputs: [P, D] → [T, D]: the sum of each token's visits, in Routing::experts' order.
at::Tensor sum_of_visits(const ExpertDispatch& dispatch, const at::Tensor& outputs);

}  // namespace moebench
