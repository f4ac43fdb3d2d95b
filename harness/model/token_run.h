// Texts that share their beginnings, as runs of tokens of which each continues another.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace moebench {

// Rows are computed in multiples of this, with rows of no token behind: products and elementwise operators then compute
// every row alike (run_attention.h).
constexpr int64_t kRowMultiple = 32;

// T tokens. LlamaModel::forward(runs) fills keys and values, a layer's [num_key_value_heads, T, head_dim] each, of runs
// that others continue.
struct TokenRun {
  std::vector<int64_t> ids;
  const TokenRun* before = nullptr;  // what it continues: computed earlier, and outlives this; null at a text's start
  bool is_continued = false;
  std::vector<at::Tensor> keys, values;

  int64_t num_tokens() const { return std::ssize(ids); }
  // Where its first token stands in the text.
  int64_t first_position() const { return before ? before->first_position() + before->num_tokens() : 0; }
};

}  // namespace moebench
