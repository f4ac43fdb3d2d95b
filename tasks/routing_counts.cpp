#include "tasks/routing_counts.h"

#include <stdexcept>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "tasks/window_plan.h"

namespace moebench {
namespace {

// Watches every mixture of the model that routes, for as long as it lives.
class RoutingWatch {
 public:
  RoutingWatch(const LlamaModel& model, const LayerRoutingObserver& observer) {
    for (size_t layer = 0; layer < model.layers().size(); ++layer) {
      const MoeLayer* mixture = moe_layer(model.layers()[layer]);
      if (mixture == nullptr || mixture->num_experts() == 0) continue;
      mixture->observe_routing(
          [layer, &observer](const at::Tensor& hidden, const Routing& routing) { observer(layer, hidden, routing); });
      watched_.push_back(mixture);
    }
  }
  ~RoutingWatch() {
    for (const MoeLayer* mixture : watched_) mixture->observe_routing(nullptr);
  }
  RoutingWatch(const RoutingWatch&) = delete;
  RoutingWatch& operator=(const RoutingWatch&) = delete;

  bool watches_anything() const { return !watched_.empty(); }

 private:
  std::vector<const MoeLayer*> watched_;
};

std::vector<TextWindow> plan(int64_t num_tokens, const LlamaConfig& config, const RoutedTextOptions& options) try {
  check_positions(options.window, config.max_position_embeddings);
  return side_by_side_windows(num_tokens, options.window, options.max_windows);
} catch (const std::invalid_argument& error) {
  throw std::invalid_argument("routing of " + options.text + ": " + error.what());
}

}  // namespace

const MoeLayer* moe_layer(const LlamaLayer& layer) { return dynamic_cast<const MoeLayer*>(&layer.feed_forward()); }

RoutedText observe_text(const TaskContext& context, const RoutedTextOptions& options,
                        const LayerRoutingObserver& observer) {
  const c10::InferenceMode inference;
  const LlamaModel& model = context.model;
  const at::Tensor stream = token_stream(read_named_corpus(options.text), context.tokenizer);
  const std::vector<TextWindow> windows = plan(stream.numel(), model.config(), options);
  RoutedText routed{.text_tokens = stream.numel()};
  const RoutingWatch watch(model, observer);
  if (!watch.watches_anything()) return routed;
  for (const TextWindow& each : windows) {
    model.forward(stream.slice(0, each.begin, each.end).unsqueeze(0).to(model.precision().device));
    routed.tokens += options.window;
    if (!context.progress) continue;
    context.progress(static_cast<double>(routed.tokens), static_cast<double>(windows.size()) * options.window);
  }
  return routed;
}

RoutingCounts count_visits(const TaskContext& context, const RoutedTextOptions& options) {
  const std::vector<LlamaLayer>& layers = context.model.layers();
  std::vector<at::Tensor> counted(layers.size());  // per layer [E]; undefined where nothing is routed
  RoutingCounts counts{observe_text(context, options, [&](size_t layer, const at::Tensor&, const Routing& routing) {
    const at::Tensor visited =
        routing.visited.defined() ? routing.experts.masked_select(routing.visited) : routing.experts.flatten();
    const at::Tensor visits = at::bincount(visited, {}, moe_layer(layers[layer])->num_experts());
    counted[layer] = counted[layer].defined() ? counted[layer] + visits : visits;
  })};
  for (const at::Tensor& layer : counted) {
    counts.visits.emplace_back();
    if (!layer.defined()) continue;
    const at::Tensor visits = layer.cpu();
    const int64_t* first = visits.const_data_ptr<int64_t>();
    counts.visits.back().assign(first, first + visits.numel());
  }
  return counts;
}

}  // namespace moebench
