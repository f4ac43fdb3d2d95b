// The matrix product of training: blocks of a weight side by side, each with a low-rank update (LoRA, arXiv
// 2106.09685) of its own, and a backward pass that never computes the gradient of a frozen weight. A plain linear layer
// is one block; an expert mixture's projections are as many as it has experts.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

namespace moebench {

// N rows in blocks, D columns, r rank. Block e of the weight counts as weight_e + scale left_e right_e.
struct StackedFactors {
  at::Tensor weight;            // [N, D]
  std::vector<int64_t> widths;  // rows of each block; they add up to N
  at::Tensor left;              // [N, r]; undefined: no update
  at::Tensor right;             // [number of blocks * r, D]
  double scale = 1;
};

// Both are differentiable with respect to the input and whatever of factors requires a gradient; all in one dtype.
// mask, bool of the input's shape: what of the input reaches the low-rank updates (dropout; the weights see all of it).
// Undefined: everything.

// [T, D] → [T, N]: input times the transposed blocks.
at::Tensor to_blocks(const StackedFactors& factors, const at::Tensor& input, const at::Tensor& mask = {});
// [T, N] → [T, D]: input times the blocks, summed over them.
at::Tensor from_blocks(const StackedFactors& factors, const at::Tensor& input, const at::Tensor& mask = {});

}  // namespace moebench
