// How many parameters a model stores and how many a token uses; arithmetic on counts, no tensors
// (P_act = P_base + active feed-forward + routers and biases).
#pragma once

#include <cstdint>
#include <vector>

#include "harness/checkpoint/llama_config.h"

namespace moebench {

// One layer's feed-forward network. E routed experts; none for a dense or a static layer.
struct FeedForwardCounts {
  int64_t always_active = 0;  // parameters every token uses: all of a dense layer; shared expert, router,
                              // biases of a mixture
  int64_t always_active_neurons = 0;
  std::vector<int64_t> expert_parameters;  // [E]
  std::vector<int64_t> expert_neurons;     // [E]
  int64_t idle = 0;                        // parameters that are stored and no token uses

  int64_t stored() const;
};

// How often each routed expert was visited by how many tokens.
struct ExpertVisits {
  std::vector<int64_t> visits;  // [E]
  int64_t tokens = 1;
};

// What a router that is fixed to top_k experts does on average if it plays no favourites: exact for experts of one
// size, whoever is visited.
ExpertVisits even_visits(int64_t num_experts, int64_t top_k);

double active_parameters(const FeedForwardCounts& layer, const ExpertVisits& visits);
double active_neurons(const FeedForwardCounts& layer, const ExpertVisits& visits);

FeedForwardCounts dense_feed_forward_counts(const LlamaConfig& config);

// Attention with its biases, and the norms.
int64_t attention_and_norm_parameters(const LlamaConfig& config);
// Token embedding and output head; counted once where they are tied.
int64_t embedding_parameters(const LlamaConfig& config);

}  // namespace moebench
