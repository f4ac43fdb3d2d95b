#include "tasks/routing_counts.h"

#include <stdexcept>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "tasks/window_plan.h"

namespace moebench {
namespace {

// Counts the visits of every mixture of the model for as long as it lives.
class VisitCounter {
 public:
  explicit VisitCounter(const LlamaModel& model) : visits_(model.layers().size()) {
    for (size_t layer = 0; layer < visits_.size(); ++layer) {
      const MoeLayer* mixture = moe_layer(model.layers()[layer]);
      if (mixture == nullptr || mixture->num_experts() == 0) continue;
      const int64_t num_experts = mixture->num_experts();
      visits_[layer] = at::zeros({num_experts}, at::TensorOptions().dtype(at::kLong).device(model.precision().device));
      mixture->observe_routing([counted = visits_[layer], num_experts](const Routing& routing) mutable {
        const at::Tensor visited =
            routing.visited.defined() ? routing.experts.masked_select(routing.visited) : routing.experts.flatten();
        counted += at::bincount(visited, {}, num_experts);
      });
      watched_.push_back(mixture);
    }
  }
  ~VisitCounter() {
    for (const MoeLayer* mixture : watched_) mixture->observe_routing(nullptr);
  }
  VisitCounter(const VisitCounter&) = delete;
  VisitCounter& operator=(const VisitCounter&) = delete;

  bool watches_anything() const { return !watched_.empty(); }

  std::vector<std::vector<int64_t>> visits() const {
    std::vector<std::vector<int64_t>> result;
    for (const at::Tensor& layer : visits_) {
      result.emplace_back();
      if (!layer.defined()) continue;
      const at::Tensor counted = layer.cpu();
      const int64_t* first = counted.const_data_ptr<int64_t>();
      result.back().assign(first, first + counted.numel());
    }
    return result;
  }

 private:
  std::vector<at::Tensor> visits_;  // per layer, [E]; undefined where nothing is routed
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

RoutingCounts count_visits(const TaskContext& context, const RoutedTextOptions& options) {
  const c10::InferenceMode inference;
  const LlamaModel& model = context.model;
  const at::Tensor stream = token_stream(read_named_corpus(options.text), context.tokenizer);
  const std::vector<TextWindow> windows = plan(stream.numel(), model.config(), options);
  const VisitCounter counter(model);
  RoutingCounts counts{.text_tokens = stream.numel()};
  if (counter.watches_anything()) {
    for (const TextWindow& each : windows) {
      model.forward(stream.slice(0, each.begin, each.end).unsqueeze(0).to(model.precision().device));
      counts.tokens += options.window;
      if (!context.progress) continue;
      context.progress(static_cast<double>(counts.tokens), static_cast<double>(windows.size()) * options.window);
    }
  }
  counts.visits = counter.visits();
  return counts;
}

}  // namespace moebench
