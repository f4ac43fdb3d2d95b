// Rotary position embedding, half-split: dimension i of a head turns together with dimension i + head_dim / 2.
#pragma once

#include <cstdint>
#include <mutex>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/llama_config.h"

namespace moebench {

// Angle per position of each of the head_dim / 2 pairs, [head_dim / 2] float; with Llama-3 scaling where configured.
at::Tensor rotary_frequencies(const LlamaConfig& config);

// Shared by a model's layers. Its tables grow to the longest text seen.
class RotaryEmbedding {
 public:
  RotaryEmbedding(const LlamaConfig& config, at::Device device);

  // heads: [B, H, T, head_dim], whose tokens stand at first_position, first_position + 1, … Same shape and dtype.
  // Throws std::invalid_argument for a position at or past max_position_embeddings.
  at::Tensor rotate(const at::Tensor& heads, int64_t first_position) const;
  // heads: [..., T, head_dim], whose tokens stand at positions, [T] int64 on the CPU.
  at::Tensor rotate(const at::Tensor& heads, const at::Tensor& positions) const;

 private:
  struct Table {
    at::Tensor cosine, sine;  // [positions, head_dim / 2] float
  };
  Table table_up_to(int64_t length) const;  // checks it

  int64_t max_positions_;
  at::Tensor frequencies_;
  mutable std::mutex mutex_;
  mutable Table table_;
};

}  // namespace moebench
