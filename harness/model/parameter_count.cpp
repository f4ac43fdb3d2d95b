#include "harness/model/parameter_count.h"

#include <numeric>

namespace moebench {
namespace {

// Summed as integers and divided once, so that equal experts give a whole number.
double average_over_visits(int64_t always, const std::vector<int64_t>& of_expert, const ExpertVisits& visits) {
  const int64_t visited =
      std::inner_product(of_expert.begin(), of_expert.end(), visits.visits.begin(), static_cast<int64_t>(0));
  return static_cast<double>(always) + static_cast<double>(visited) / static_cast<double>(visits.tokens);
}

}  // namespace

int64_t FeedForwardCounts::stored() const {
  return std::accumulate(expert_parameters.begin(), expert_parameters.end(), always_active + idle);
}

ExpertVisits even_visits(int64_t num_experts, int64_t top_k) {
  if (num_experts == 0) return {};
  return {std::vector<int64_t>(static_cast<size_t>(num_experts), top_k), num_experts};
}

double active_parameters(const FeedForwardCounts& layer, const ExpertVisits& visits) {
  return average_over_visits(layer.always_active, layer.expert_parameters, visits);
}

double active_neurons(const FeedForwardCounts& layer, const ExpertVisits& visits) {
  return average_over_visits(layer.always_active_neurons, layer.expert_neurons, visits);
}

FeedForwardCounts dense_feed_forward_counts(const LlamaConfig& config) {
  return {.always_active = 3 * config.hidden_size * config.intermediate_size,
          .always_active_neurons = config.intermediate_size};
}

int64_t attention_and_norm_parameters(const LlamaConfig& config) {
  const int64_t query_size = config.num_attention_heads * config.head_dim;
  const int64_t key_value_size = config.num_key_value_heads * config.head_dim;
  int64_t layer = config.hidden_size * (2 * query_size + 2 * key_value_size);  // q, o; k, v
  if (config.attention_bias) layer += query_size + 2 * key_value_size;
  layer += 2 * config.hidden_size;  // input norm, post-attention norm
  if (config.qk_norm) layer += 2 * config.head_dim;
  return config.num_layers * layer + config.hidden_size;  // final norm
}

int64_t embedding_parameters(const LlamaConfig& config) {
  return (config.tie_word_embeddings ? 1 : 2) * config.vocab_size * config.hidden_size;
}

}  // namespace moebench
