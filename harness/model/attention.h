// Causal attention with grouped key/value heads.
#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

namespace moebench {

// queries: [B, H, T, head_dim], the last T of S tokens; keys, values: [B, num_key_value_heads, S, head_dim].
// Each query sees the tokens up to its own, the last sliding_window of them where given. Returns [B, H, T, head_dim].
at::Tensor causal_attention(const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& values,
                            std::optional<int64_t> sliding_window);

}  // namespace moebench
