// GGUF's tensor names and row order, translated to Hugging Face's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <ATen/core/Tensor.h>

namespace moebench {

// "blk.3.ffn_up.weight" → "model.layers.3.mlp.up_proj.weight"; nothing for a tensor that has no such name.
std::optional<std::string> hugging_face_name(std::string_view gguf_name);

// Query or key projection (weight [num_heads * head_dim, in] or bias [num_heads * head_dim]) whose rows are ordered
// for rotating adjacent pairs (2j, 2j + 1), as llama.cpp's converter orders them for arch "llama" → the order for
// rotating halves (j, j + head_dim / 2). Owns its memory.
at::Tensor to_half_split_rows(const at::Tensor& projection, int64_t num_heads);

}  // namespace moebench
