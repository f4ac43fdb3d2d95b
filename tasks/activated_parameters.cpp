// Parameters that one token uses, by four named definitions that users confuse.
//
//   activated_parameters/ffn            feed-forward networks: shared expert, the visited experts, routers, biases
//   activated_parameters/non_embedding  the same with attention and norms
//   activated_parameters/all            the same with token embedding and output head (once, if tied)
//   activated_parameters/measured       as /all, but averaged over the experts that the tokens of a text really visited
//
// Where the number of visited experts is adaptive, the first three count the mean that its policy was chosen for.
// A dense model uses what it stores. An oracle router counts the experts that it chooses, not those that it looks at.
#include <cmath>

#include "harness/model/parameter_count.h"
#include "harness/task.h"
#include "tasks/routing_counts.h"
#include "tasks/window_plan.h"

namespace moebench {
namespace {

FeedForwardCounts count_feed_forward(const LlamaLayer& layer, const LlamaConfig& config) {
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

// An adaptive rule's mean, on the text that chose its level; else top_k.
ExpertVisits stated_visits(const LayerConversion& layer) {
  constexpr int64_t kTokens = 1'000'000;
  const auto num_experts = static_cast<int64_t>(layer.experts.size());
  if (layer.rule.visits == RoutingRule::Visits::kTopK) return even_visits(num_experts, layer.top_k);
  ExpertVisits visits = even_visits(num_experts, std::llround(layer.mean_visits * kTokens));
  visits.tokens *= kTokens;
  return visits;
}

// Sums over layers.
struct Totals {
  double stored = 0, active = 0, measured = 0, active_neurons = 0;
};

Metric count_metric(const std::string& name, double value) { return {name, "parameters", value}; }

class ActivatedParameters : public Task {
 public:
  explicit ActivatedParameters(RoutedTextOptions options) : options_(std::move(options)) {
    check_window_options("activated_parameters", options_.window, options_.max_windows);
  }

  std::string data_hash() const override { return read_named_corpus(options_.text).content_hash; }

  Measurement measure(TaskContext& context) const override {
    const RoutingCounts routing = count_visits(context, options_);
    const LlamaConfig& config = context.model.config();
    const Totals ffn = sum_layers(context, routing);
    const auto non_embedding = static_cast<double>(attention_and_norm_parameters(config));
    const double others = non_embedding + static_cast<double>(embedding_parameters(config));
    Metric measured = count_metric("activated_parameters/measured", others + ffn.measured);
    measured.n = std::max<int64_t>(routing.tokens, 1);
    const double share = ffn.active_neurons / static_cast<double>(config.num_layers * config.intermediate_size);
    return {.metrics = {count_metric("activated_parameters/ffn", ffn.active),
                        count_metric("activated_parameters/non_embedding", non_embedding + ffn.active),
                        count_metric("activated_parameters/all", others + ffn.active),
                        measured,
                        count_metric("total_parameters", others + ffn.stored),
                        {"active_ffn_share", "", share}},
            .text_tokens = routing.text_tokens};
  }

 private:
  static Totals sum_layers(const TaskContext& context, const RoutingCounts& routing) {
    Totals totals;
    for (size_t layer = 0; layer < context.model.layers().size(); ++layer) {
      const FeedForwardCounts counts = count_feed_forward(context.model.layers()[layer], context.model.config());
      const auto num_experts = static_cast<int64_t>(counts.expert_parameters.size());
      ExpertVisits even, real;
      if (num_experts > 0) {  // else there may be no conversion, and no token was counted
        even = stated_visits(context.conversion->layers[layer]);
        real = {routing.visits[layer], routing.tokens};
      }
      totals.stored += static_cast<double>(counts.stored());
      totals.active += active_parameters(counts, even);
      totals.measured += active_parameters(counts, real);
      totals.active_neurons += active_neurons(counts, even);
    }
    return totals;
  }

  RoutedTextOptions options_;
};

const Registration<Task, ActivatedParameters, RoutedTextOptions> registration(
    "activated_parameters",
    "parameters a token uses: /ffn = feed-forward with routers and biases; /non_embedding = also attention and norms; "
    "/all = also embedding and head, once if tied; /measured = /all with the experts that a text's tokens really "
    "visit; "
    "beside them total_parameters (stored) and active_ffn_share (neurons)");

}  // namespace
}  // namespace moebench
