// Attention whose bits depend on a token's own text alone: not on where its text was cut into runs, nor on what else is
// computed beside it. For one thread.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

#include "harness/model/token_run.h"

namespace moebench {

// queries: [T, H, head_dim] of the run's tokens; keys, values: [G, T, head_dim]; those of the runs before it are
// theirs, of that layer. Each query sees the tokens up to its own, the last `window` of them. Returns [T, H, head_dim];
// computes in fp32.
at::Tensor run_attention(const TokenRun& run, int64_t layer, const at::Tensor& queries, const at::Tensor& keys,
                         const at::Tensor& values, int64_t window);

}  // namespace moebench
