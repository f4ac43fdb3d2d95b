// Parameters that one token uses, by four named definitions that users confuse.
//
//   activated_parameters/ffn            feed-forward networks: shared expert, the visited experts, routers, biases
//   activated_parameters/non_embedding  the same with attention and norms
//   activated_parameters/all            the same with token embedding and output head (once, if tied)
//   activated_parameters/measured       as /all, but averaged over the experts that the tokens of a text really visited
//
// Where the number of visited experts is adaptive, the first three count the mean that its policy was chosen for.
// A dense model uses what it stores. An oracle router counts the experts that it chooses, not those that it looks at.
#include "harness/task.h"
#include "tasks/feed_forward_counts.h"
#include "tasks/routing_counts.h"
#include "tasks/window_plan.h"

namespace moebench {
namespace {

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
      const FeedForwardCounts counts = feed_forward_counts(context.model.layers()[layer], context.model.config());
      const ExpertVisits stated = stated_visits(context, layer);
      ExpertVisits real;
      if (!counts.expert_parameters.empty()) real = {routing.visits[layer], routing.tokens};
      totals.stored += static_cast<double>(counts.stored());
      totals.active += active_parameters(counts, stated);
      totals.measured += active_parameters(counts, real);
      totals.active_neurons += active_neurons(counts, stated);
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
