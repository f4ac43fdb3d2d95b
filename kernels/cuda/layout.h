// How a network, and what a call computes on its way, lie in the device's memory.
// T tokens, D hidden_size, E routed experts, K top_k; expert E is the shared one.
//
// Weights lie in panels of 16 rows. A step of a panel is 64 bytes of each of its rows, in the order in which a warp's
// lanes hold them for the tensor cores: two chunks of 16 bytes a lane, lane = 4 row + part:
//   bfloat16, chunk h: columns 8 part + 4 h + {0, 1} of row and of row + 8, then columns + {2, 3} of both;
//   float32, chunk h: columns 4 part + {0, 1, 2, 3} of row + 8 h.
// So that the same lane finds what belongs to it of a token's 64 bytes in one chunk, number `part`. A panel of gate_up
// is 8 gate rows with the up rows of the same neurons, so that both sums of a neuron meet in one lane.
#pragma once

#include <cstdint>

#include "kernels/cuda/platform.h"
#include "kernels/moe_ffn.h"

namespace moebench::kernels::cuda {

constexpr int kWarp = 32;
constexpr int kPanelRows = 16, kPanelNeurons = 8;
constexpr int kTokenBlock = 8;          // tokens that a warp multiplies at once
constexpr int kStepBytes = 64;          // of a row
constexpr int kStepChunks = 2 * kWarp;  // of a panel
constexpr int kTilePanels = 8;          // weights are padded to so many
constexpr int64_t kPadding = 32;        // of D and of widths where they are summed over
constexpr int64_t kTileNeurons = kTilePanels * kPanelNeurons, kTileRows = kTilePanels * kPanelRows;
constexpr int kFewTokens = 16;

constexpr int64_t padded(int64_t size, int64_t multiple) { return (size + multiple - 1) / multiple * multiple; }

struct BFloat16 {
  uint16_t bits;
};

// Of the device; expert_rows[i] is experts[i], then the shared one.
struct DeviceExpert {
  const uint4* gate_up;      // [width padded to 64 / 8 panels, D padded to 32]
  const uint4* down;         // [D padded to 128 / 16 panels, padded_width]
  const float* output_bias;  // [D padded to 128] or null
  const float* absent_bias;  // the same
  int32_t width, padded_width;
};

struct DeviceRouter {
  Router::Kind kind;
  const void *first, *second;  // [E padded to 4, D padded to 32]; kTanhMlp's second is [E, E] floats
  const float* bias;           // [E] or null
};

struct DeviceRule {
  RoutingRule::Softmax softmax;
  RoutingRule::Weights weights;
  RoutingRule::Visits visits;
  float level, scale;
  const float *selection_bias, *expert_scale;  // [E] or null
};

struct DeviceNetwork {
  int32_t hidden_size, padded_hidden_size, num_experts, top_k;
  bool has_shared;
  const DeviceExpert* experts;  // [E + 1]
  const float* absent_sum;      // [D padded to 128] of all absent biases, or null
  DeviceRouter router;
  DeviceRule rule;
};

// One call, or a part of it. Pointers are the device's.
struct DeviceCall {
  int32_t num_tokens;
  const uint4* input;     // [T, D padded to 32]: rows of whole steps
  int64_t input_chunks;   // from row to row
  void* output;           // [T, D]
  int64_t output_stride;  // elements
  int32_t* experts;       // [T, K]
  float* weights;         // [T, K]
};

// For at most kFewTokens tokens: every visited expert computes all of them, for reading its weights is what costs.
struct FewTokens {
  uint32_t* ticket;      // 0 between calls
  int32_t* num_visited;  // experts
  int32_t* visited;      // [E + 1], ascending
  uint32_t* masks;       // [E + 1]: bit t where token t visits
  float* weights;        // [E + 1, kFewTokens]
  uint4* activations;    // [visited, kFewTokens, widest], times the routing weight
  int64_t row_chunks;    // of activations, from token to token
};

// For many tokens: the visits of an expert are rows of a product, one expert after another, tokens ascending.
struct ManyTokens {
  int32_t *first_visit, *num_visits;  // [E + 1]
  int32_t* visit_tokens;              // [T (K + 1)]
  float* visit_weights;
  int32_t* positions;                        // [T, K]: among the visits; -1 where not visited
  uint4* gathered;                           // [T K, D padded to 32] inputs, or null: products gather them themselves
  uint4 *gate_up, *shared_gate_up;           // as activations, two rows for one; or null
  uint4* activations;                        // [T K, widest routed]
  uint4* shared_activations;                 // [T, shared width]
  int64_t activation_chunks, shared_chunks;  // from row to row
  uint4* contributions;                      // [T (K + 1), D padded to 128], times the routing weight
  int64_t contribution_chunks;
};

}  // namespace moebench::kernels::cuda
