// Causal attention with a backward pass.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

namespace moebench {

// causal_attention() of a text's own tokens (harness/model/attention.h), differentiable. queries: [B, H, T, head_dim];
// keys, values: [B, num_key_value_heads, T, head_dim]. The weights are computed again for the backward pass, a block of
// queries at a time, so that nothing of T x T is kept. Deterministic.
at::Tensor trained_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                             std::optional<int64_t> sliding_window);

}  // namespace moebench
