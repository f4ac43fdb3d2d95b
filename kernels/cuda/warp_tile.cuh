// A warp's product: kPanels panels of weights by kBlocks blocks of tokens. Its caller brings the chunks of a step:
// weights(panel, half) of this lane and tokens(token, part). Sums come out as the tensor cores leave them: lane 4 row +
// part has, of a panel and a block, rows `row` and `row + 8` of tokens 2 part and 2 part + 1.
#pragma once

#include "kernels/cuda/element.cuh"

namespace moebench::kernels::cuda {

__device__ inline int lane_index() { return static_cast<int>(threadIdx.x % kWarp); }
__device__ inline int warp_index() { return static_cast<int>(threadIdx.x / kWarp); }

template <class Element, int kPanels, int kBlocks>
class WarpTile;

template <int kPanels, int kBlocks>
class WarpTile<BFloat16, kPanels, kBlocks> {
 public:
  template <class Weights, class Tokens>
  __device__ void multiply(const Weights& weights, const Tokens& tokens) {
    const int row = lane_index() / 4, part = lane_index() % 4;
    uint4 weight_chunks[kPanels][2], token_chunks[kBlocks];
#pragma unroll
    for (int block = 0; block < kBlocks; ++block) token_chunks[block] = tokens(block * kTokenBlock + row, part);
#pragma unroll
    for (int panel = 0; panel < kPanels; ++panel) {
      weight_chunks[panel][0] = weights(panel, 0);
      weight_chunks[panel][1] = weights(panel, 1);
    }
    multiply_add(sums_, weight_chunks, token_chunks);
  }

  // {row, token 0}, {row, token 1}, {row + 8, token 0}, {row + 8, token 1}. All lanes of a warp must ask together.
  __device__ void sums(int panel, int block, float (&values)[4]) const {
#pragma unroll
    for (int i = 0; i < 4; ++i) values[i] = sums_[panel][block][i];
  }

 private:
  float sums_[kPanels][kBlocks][4] = {};
};

// Each lane sums its part of the columns, of all tokens; the four parts of a row meet in the end.
template <int kPanels, int kBlocks>
class WarpTile<float, kPanels, kBlocks> {
 public:
  template <class Weights, class Tokens>
  __device__ void multiply(const Weights& weights, const Tokens& tokens) {
    const int part = lane_index() % 4;
    float w[kPanels][2][4];
#pragma unroll
    for (int panel = 0; panel < kPanels; ++panel) {
      unpack(weights(panel, 0), w[panel][0]);
      unpack(weights(panel, 1), w[panel][1]);
    }
#pragma unroll
    for (int token = 0; token < kBlocks * kTokenBlock; ++token) {
      float x[4];
      unpack(tokens(token, part), x);
#pragma unroll
      for (int panel = 0; panel < kPanels; ++panel) {
#pragma unroll
        for (int half = 0; half < 2; ++half) {
#pragma unroll
          for (int i = 0; i < 4; ++i) sums_[panel][half][token] += w[panel][half][i] * x[i];
        }
      }
    }
  }

  __device__ void sums(int panel, int block, float (&values)[4]) const {
    const int part = lane_index() % 4;
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int token = 0; token < kTokenBlock; ++token) {
        float sum = sums_[panel][half][block * kTokenBlock + token];
        sum += __shfl_xor_sync(~0u, sum, 1);
        sum += __shfl_xor_sync(~0u, sum, 2);
        if (token / 2 == part) values[2 * half + token % 2] = sum;
      }
    }
  }

 private:
  float sums_[kPanels][2][kBlocks * kTokenBlock] = {};
};

}  // namespace moebench::kernels::cuda
