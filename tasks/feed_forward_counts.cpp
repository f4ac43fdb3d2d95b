#include "tasks/feed_forward_counts.h"

#include <cmath>

#include "tasks/routing_counts.h"

namespace moebench {

FeedForwardCounts feed_forward_counts(const LlamaLayer& layer, const LlamaConfig& config) {
  const MoeLayer* mixture = moe_layer(layer);
  if (mixture == nullptr) return dense_feed_forward_counts(config);
  FeedForwardCounts counts{.always_active = mixture->always_active_parameters(),
                           .always_active_neurons = mixture->shared_active_neurons(),
                           .idle = mixture->idle_parameters()};
  for (int64_t expert = 0; expert < mixture->num_experts(); ++expert) {
    counts.expert_parameters.push_back(mixture->expert_parameters(expert));
    counts.expert_neurons.push_back(mixture->expert_intermediate_size(expert));
  }
  return counts;
}

ExpertVisits stated_visits(const TaskContext& context, size_t layer) {
  constexpr int64_t kTokens = 1'000'000;
  const MoeLayer* mixture = moe_layer(context.model.layers()[layer]);
  if (mixture == nullptr || mixture->num_experts() == 0) return {};  // a dense parent has no conversion either
  const LayerConversion& conversion = context.conversion->layers[layer];
  const auto num_experts = static_cast<int64_t>(conversion.experts.size());
  if (conversion.rule.visits == RoutingRule::Visits::kTopK) return even_visits(num_experts, conversion.top_k);
  ExpertVisits visits = even_visits(num_experts, std::llround(conversion.mean_visits * kTokens));
  visits.tokens *= kTokens;
  return visits;
}

double active_feed_forward_ratio(const TaskContext& context) {
  const LlamaConfig& config = context.model.config();
  double active = 0;
  for (size_t layer = 0; layer < context.model.layers().size(); ++layer) {
    active +=
        active_parameters(feed_forward_counts(context.model.layers()[layer], config), stated_visits(context, layer));
  }
  return active / static_cast<double>(config.num_layers * dense_feed_forward_counts(config).stored());
}

}  // namespace moebench
