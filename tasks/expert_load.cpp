// Do the tokens spread over the experts, or do a few do all the work? Per layer and averaged over layers.
//
//   expert_load/layer-07/expert-3   share of the tokens that visit this expert, 0 to 1 (top_k / E if all are alike)
//   expert_load[/layer-07]/entropy  of the visits over experts, divided by log E: 1 = even, 0 = one expert does it all
//   expert_load[/layer-07]/dead_experts   experts that no token visited; summed over layers
//   expert_load[/layer-07]/max_over_mean  visits of the busiest expert over the mean: 1 = even
//
// A dense model and a static one route nothing and have no such metrics.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "harness/task.h"
#include "tasks/routing_counts.h"
#include "tasks/window_plan.h"

namespace moebench {
namespace {

struct LayerLoad {
  double entropy = 1;
  int64_t dead_experts = 0;
  double max_over_mean = 1;
};

LayerLoad summarise(const std::vector<int64_t>& visits) {
  const auto total = static_cast<double>(std::accumulate(visits.begin(), visits.end(), int64_t{0}));
  const auto num_experts = static_cast<double>(visits.size());
  LayerLoad load;
  load.dead_experts = std::count(visits.begin(), visits.end(), 0);
  if (total == 0 || visits.size() == 1) return load;
  double entropy = 0;
  for (const int64_t visited : visits) {
    const double share = static_cast<double>(visited) / total;
    if (visited > 0) entropy -= share * std::log(share);
  }
  load.entropy = entropy / std::log(num_experts);
  load.max_over_mean = static_cast<double>(*std::max_element(visits.begin(), visits.end())) * num_experts / total;
  return load;
}

void add_load(const std::string& prefix, double entropy, double dead_experts, double max_over_mean, int64_t tokens,
              std::vector<Metric>& metrics) {
  metrics.push_back({prefix + "/entropy", "", entropy, Direction::kHigherIsBetter, tokens});
  metrics.push_back({prefix + "/dead_experts", "experts", dead_experts, Direction::kLowerIsBetter, tokens});
  metrics.push_back({prefix + "/max_over_mean", "", max_over_mean, Direction::kLowerIsBetter, tokens});
}

class ExpertLoad : public Task {
 public:
  explicit ExpertLoad(RoutedTextOptions options) : options_(std::move(options)) {
    check_window_options("expert_load", options_.window, options_.max_windows);
  }

  std::string data_hash() const override { return read_named_corpus(options_.text).content_hash; }

  Measurement measure(TaskContext& context) const override {
    const RoutingCounts routing = count_visits(context, options_);
    std::vector<Metric> layers;
    LayerLoad total{.entropy = 0, .max_over_mean = 0};
    int64_t num_mixtures = 0;
    for (size_t layer = 0; layer < routing.visits.size(); ++layer) {
      const std::vector<int64_t>& visits = routing.visits[layer];
      if (visits.empty()) continue;
      const LayerLoad load = summarise(visits);
      add_layer(fmt::format("expert_load/layer-{:02}", layer), visits, load, routing.tokens, layers);
      total.entropy += load.entropy;
      total.dead_experts += load.dead_experts;
      total.max_over_mean += load.max_over_mean;
      ++num_mixtures;
    }
    Measurement measurement{.text_tokens = routing.text_tokens};
    if (num_mixtures == 0) return measurement;
    const auto n = static_cast<double>(num_mixtures);
    add_load("expert_load", total.entropy / n, static_cast<double>(total.dead_experts), total.max_over_mean / n,
             routing.tokens, measurement.metrics);
    measurement.metrics.insert(measurement.metrics.end(), layers.begin(), layers.end());
    return measurement;
  }

 private:
  static void add_layer(const std::string& prefix, const std::vector<int64_t>& visits, const LayerLoad& load,
                        int64_t tokens, std::vector<Metric>& metrics) {
    add_load(prefix, load.entropy, static_cast<double>(load.dead_experts), load.max_over_mean, tokens, metrics);
    for (size_t expert = 0; expert < visits.size(); ++expert) {
      const double share = static_cast<double>(visits[expert]) / static_cast<double>(tokens);
      metrics.push_back({fmt::format("{}/expert-{}", prefix, expert), "", share, Direction::kNeither, tokens});
    }
  }

  RoutedTextOptions options_;
};

const Registration<Task, ExpertLoad, RoutedTextOptions> registration(
    "expert_load", "share of tokens that visit each expert, its entropy, dead experts, busiest over mean; per layer");

}  // namespace
}  // namespace moebench
