// What attention remembers of the tokens seen so far.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

namespace moebench {

// Keys and values for every layer, for inference: it is written in place, so no gradient flows through it. Grows as
// needed; truncate() rewinds exactly.
class KvCache {
 public:
  explicit KvCache(int64_t num_layers) : keys_(num_layers), values_(num_layers) {}
  KvCache(KvCache&&) = default;
  KvCache& operator=(KvCache&&) = default;

  int64_t length() const { return length_; }
  void truncate(int64_t length);

 private:
  friend class LlamaLayer;
  friend class LlamaModel;
  // Appends the new tokens' keys and values, [B, num_key_value_heads, T, head_dim], behind the first length() tokens of
  // this layer. Returns those of all tokens, views of the cache: [B, num_key_value_heads, length() + T, head_dim].
  std::pair<at::Tensor, at::Tensor> append(int64_t layer, const at::Tensor& keys, const at::Tensor& values);
  // Once every layer has appended.
  void advance(int64_t num_tokens) { length_ += num_tokens; }

  std::vector<at::Tensor> keys_, values_;  // [B, num_key_value_heads, capacity, head_dim]
  int64_t length_ = 0;
};

}  // namespace moebench
