// From a token to its experts and their weights, by one warp or, up to the scores, by the warps of a block.
#pragma once

#include "kernels/cuda/warp_tile.cuh"

namespace moebench::kernels::cuda {

// A token's space in shared memory.
struct RouterScratch {
  float *logits, *probabilities;  // [E]
  int32_t* keys;                  // [E]
};

__device__ inline RouterScratch router_scratch(float* shared, int num_experts) {
  return {shared, shared + num_experts, reinterpret_cast<int32_t*>(shared + 2 * num_experts)};
}

// sums[i] = row i of rows by x or its squares; every lane gets them.
template <class Element, int kRows>
__device__ void dot_products(const Element* rows, int64_t row_size, const uint4* x, bool squares,
                             float (&sums)[kRows]) {
  constexpr int kElements = kChunkElements<Element>;
  const int64_t num_chunks = row_size / kElements;
  const uint4* weights = reinterpret_cast<const uint4*>(rows);
#pragma unroll
  for (int row = 0; row < kRows; ++row) sums[row] = 0;
  for (int64_t chunk = lane_index(); chunk < num_chunks; chunk += kWarp) {
    float values[kElements];
    unpack(x[chunk], values);
#pragma unroll
    for (int i = 0; i < kElements; ++i) values[i] = squares ? values[i] * values[i] : values[i];
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      float w[kElements];
      unpack(weights[row * num_chunks + chunk], w);
#pragma unroll
      for (int i = 0; i < kElements; ++i) sums[row] += w[i] * values[i];
    }
  }
#pragma unroll
  for (int row = 0; row < kRows; ++row) sums[row] = warp_sum(sums[row]);
}

// The scores of kRows experts from `expert` on, or for kTanhMlp the hidden values. By a warp.
template <class Element, int kRows>
__device__ void score_experts(const DeviceNetwork& network, const uint4* x, int expert, float* scores) {
  using Kind = Router::Kind;
  const DeviceRouter& router = network.router;
  const int64_t row_size = network.padded_hidden_size;
  float first[kRows], second[kRows] = {};
  dot_products(static_cast<const Element*>(router.first) + expert * row_size, row_size, x, false, first);
  if (router.kind == Kind::kQuadratic || router.kind == Kind::kGatedRows) {
    dot_products(static_cast<const Element*>(router.second) + expert * row_size, row_size, x,
                 router.kind == Kind::kQuadratic, second);
  }
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    if (lane_index() != row || expert + row >= network.num_experts) continue;
    float score = first[row];
    if (router.kind == Kind::kQuadratic) score += second[row];
    if (router.kind == Kind::kGatedRows) score = fabsf(second[row] * silu(first[row]));
    if (router.kind == Kind::kTanhMlp) {
      score = tanhf(first[row]);
    } else if (router.bias != nullptr) {
      score += router.bias[expert + row];
    }
    scores[expert + row] = score;
  }
}

// kTanhMlp's second layer, of the experts first, first + step, ... By a warp.
__device__ inline void score_hidden(const DeviceNetwork& network, const float* hidden, int first, int step,
                                    float* scores) {
  const int num_experts = network.num_experts;
  for (int expert = first; expert < num_experts; expert += step) {
    const float* row = static_cast<const float*>(network.router.second) + static_cast<int64_t>(expert) * num_experts;
    float sum = 0;
    for (int i = lane_index(); i < num_experts; i += kWarp) sum += row[i] * hidden[i];
    sum = warp_sum(sum);
    if (lane_index() == 0) scores[expert] = network.router.bias ? sum + network.router.bias[expert] : sum;
  }
}

// Integers in the order of the floats: equal ones equal (so both zeros), not-a-number the largest.
__device__ inline int32_t sort_key(float value) {
  if (isnan(value)) return 0x7fffffff;
  const int32_t bits = __float_as_int(value + 0.0f);
  return bits < 0 ? bits ^ 0x7fffffff : bits;
}

__device__ inline void softmax(const float* logits, int num_experts, float* probabilities) {
  float largest = -INFINITY, sum = 0;
  for (int expert = lane_index(); expert < num_experts; expert += kWarp) largest = fmaxf(largest, logits[expert]);
  largest = warp_max(largest);
  for (int expert = lane_index(); expert < num_experts; expert += kWarp) {
    sum += probabilities[expert] = expf(logits[expert] - largest);
  }
  sum = warp_sum(sum);
  for (int expert = lane_index(); expert < num_experts; expert += kWarp) probabilities[expert] /= sum;
}

// An expert's place is the number of those that come before it: the larger score, then the lower index.
__device__ inline void order(const DeviceNetwork& network, const float* scores, int32_t* keys, int32_t* experts) {
  const float* bias = network.rule.selection_bias;
  for (int expert = lane_index(); expert < network.num_experts; expert += kWarp) {
    keys[expert] = sort_key(bias ? scores[expert] + bias[expert] : scores[expert]);
  }
  __syncwarp();
  for (int expert = lane_index(); expert < network.num_experts; expert += kWarp) {
    int rank = 0;
    for (int other = 0; other < network.num_experts; ++other) {
      rank += keys[other] > keys[expert] || (keys[other] == keys[expert] && other < expert);
    }
    if (rank < network.top_k) experts[rank] = expert;
  }
}

// Of a token's experts at least the first is visited. By one lane: a sum in order.
__device__ inline void leave_unvisited(const DeviceNetwork& network, const float* probabilities, int32_t* experts) {
  const float best = probabilities[experts[0]];
  float mass_before = best;
  for (int choice = 1; choice < network.top_k; ++choice) {
    const float probability = probabilities[experts[choice]];
    const bool is_visited = network.rule.visits == RoutingRule::Visits::kCumulativeMass
                                ? mass_before < network.rule.level
                                : probability >= best * network.rule.level;
    mass_before += probability;
    if (!is_visited) experts[choice] = -1 - experts[choice];
  }
}

__device__ inline float routing_weight(const DeviceRule& rule, float score, int expert) {
  float weight = 1;
  if (rule.weights == RoutingRule::Weights::kScores) weight = score;
  if (rule.weights == RoutingRule::Weights::kOnePlusScaledScores && rule.expert_scale != nullptr) {
    weight = 1 + score * rule.expert_scale[expert];
  }
  return weight * rule.scale;
}

__device__ inline void weigh(const DeviceNetwork& network, const RouterScratch& scratch, const int32_t* experts,
                             float* weights) {
  const DeviceRule& rule = network.rule;
  const bool is_softmax_after = rule.softmax == RoutingRule::Softmax::kAfterTopK;
  const float* scores = rule.softmax == RoutingRule::Softmax::kBeforeTopK ? scratch.probabilities : scratch.logits;
  float largest = -INFINITY, sum = 0;
  if (is_softmax_after) {
    for (int choice = lane_index(); choice < network.top_k; choice += kWarp) {
      if (experts[choice] >= 0) largest = fmaxf(largest, scores[experts[choice]]);
    }
    largest = warp_max(largest);
    for (int choice = lane_index(); choice < network.top_k; choice += kWarp) {
      if (experts[choice] >= 0) sum += expf(scores[experts[choice]] - largest);
    }
    sum = warp_sum(sum);
  }
  for (int choice = lane_index(); choice < network.top_k; choice += kWarp) {
    const int expert = experts[choice];
    if (expert < 0) {
      weights[choice] = 0;
      continue;
    }
    const float score = is_softmax_after ? expf(scores[expert] - largest) / sum : scores[expert];
    weights[choice] = routing_weight(rule, score, expert);
  }
}

// scratch.logits to experts and weights, [K]. By a warp, which has seen the logits.
__device__ inline void choose(const DeviceNetwork& network, const RouterScratch& scratch, int32_t* experts,
                              float* weights) {
  const bool is_adaptive = network.rule.visits != RoutingRule::Visits::kTopK;
  const bool is_softmax_before = network.rule.softmax == RoutingRule::Softmax::kBeforeTopK;
  if (is_softmax_before || is_adaptive) softmax(scratch.logits, network.num_experts, scratch.probabilities);
  __syncwarp();
  order(network, is_softmax_before ? scratch.probabilities : scratch.logits, scratch.keys, experts);
  __syncwarp();
  if (is_adaptive && lane_index() == 0) leave_unvisited(network, scratch.probabilities, experts);
  __syncwarp();
  weigh(network, scratch, experts, weights);
}

}  // namespace moebench::kernels::cuda
