// Does the router choose what an oracle would? Of the experts that a token visits, the share that is among as many of
// those that would change its output most, in the stream of the converted model itself.
//
//   routing_overlap[/layer-07]   averaged over tokens; over layers. 1: an oracle
//   routing_overlap/chance       what choosing blindly would give: visited experts over all experts
//
// A dense model and a static one route nothing and have no such metrics.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include "harness/task.h"
#include "tasks/routing_counts.h"
#include "tasks/window_plan.h"

namespace moebench {
namespace {

// Sums over the tokens of one layer.
struct LayerOverlap {
  int64_t tokens = 0;
  double overlap = 0, chance = 0;

  void add(const at::Tensor& norms_TE, const Routing& routing) {
    const int64_t num_experts = norms_TE.size(1);
    const at::Tensor visited_TK =
        routing.visited.defined() ? routing.visited : at::ones_like(routing.experts, at::kBool);
    const at::Tensor num_visited_T1 = visited_TK.sum(1, /*keepdim=*/true);
    // An expert's rank among the token's norms, 0 for the largest; of equal ones the lower index first.
    const at::Tensor order_TE = std::get<1>(norms_TE.sort(/*stable=*/true, /*dim=*/1, /*descending=*/true));
    const at::Tensor ranks_TE =
        at::empty_like(order_TE).scatter_(1, order_TE, at::arange(num_experts, order_TE.options()).expand_as(order_TE));
    const at::Tensor agrees_TK = ranks_TE.gather(1, routing.experts).lt(num_visited_T1).logical_and(visited_TK);
    tokens += norms_TE.size(0);
    overlap += agrees_TK.sum(1, /*keepdim=*/true).to(at::kDouble).div(num_visited_T1).sum().item<double>();
    chance += num_visited_T1.to(at::kDouble).div(num_experts).sum().item<double>();
  }
};

class RoutingOverlap : public Task {
 public:
  explicit RoutingOverlap(RoutedTextOptions options) : options_(std::move(options)) {
    check_window_options("routing_overlap", options_.window, options_.max_windows);
  }

  std::string data_hash() const override { return read_named_corpus(options_.text).content_hash; }

  Measurement measure(TaskContext& context) const override {
    std::vector<LayerOverlap> layers(context.model.layers().size());
    const RoutedText routed =
        observe_text(context, options_, [&](size_t layer, const at::Tensor& hidden, const Routing& routing) {
          if (routing.experts.size(1) == 0) return;
          layers[layer].add(moe_layer(context.model.layers()[layer])->contribution_norms(hidden), routing);
        });
    std::vector<Metric> metrics;
    double overlap = 0, chance = 0;
    for (size_t layer = 0; layer < layers.size(); ++layer) {
      const auto tokens = static_cast<double>(layers[layer].tokens);
      if (tokens == 0) continue;
      metrics.push_back(share(fmt::format("routing_overlap/layer-{:02}", layer), layers[layer].overlap / tokens,
                              Direction::kHigherIsBetter, routed.tokens));
      overlap += layers[layer].overlap / tokens;
      chance += layers[layer].chance / tokens;
    }
    Measurement measurement{.text_tokens = routed.text_tokens};
    if (metrics.empty()) return measurement;
    const auto num_layers = static_cast<double>(metrics.size());
    measurement.metrics = {share("routing_overlap", overlap / num_layers, Direction::kHigherIsBetter, routed.tokens),
                           share("routing_overlap/chance", chance / num_layers, Direction::kNeither, routed.tokens)};
    measurement.metrics.insert(measurement.metrics.end(), metrics.begin(), metrics.end());
    return measurement;
  }

 private:
  static Metric share(const std::string& name, double value, Direction direction, int64_t tokens) {
    return {name, "", value, direction, tokens};
  }

  RoutedTextOptions options_;
};

const Registration<Task, RoutingOverlap, RoutedTextOptions> registration(
    "routing_overlap", "share of the visited experts that an oracle router would visit, too; per layer");

}  // namespace
}  // namespace moebench
