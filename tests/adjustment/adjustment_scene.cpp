#include "tests/adjustment/adjustment_scene.h"

#include <ATen/ATen.h>

#include "harness/model/moe_layer.h"

namespace moebench {
namespace {

at::Tensor random(std::vector<int64_t> sizes, uint64_t seed) {
  return at::randn(sizes, at::detail::createCPUGenerator(seed));
}

LayerEvidence observe(const GatedMlpWeights& dense, const std::vector<at::Tensor>& windows,
                      const std::string& token_weights) {
  LayerEvidence evidence(dense, token_weights);
  for (const at::Tensor& inputs : windows) {
    const Window window(dense, inputs);
    evidence.observe(window.chunk());
  }
  return evidence;
}

}  // namespace

AdjustmentScene::AdjustmentScene(const std::string& token_weights) : evidence(observe(dense, windows, token_weights)) {}

LayerConversion AdjustmentScene::partition(bool with_shared) const {
  LayerConversion conversion{.top_k = 2};
  int64_t first = 0;
  if (with_shared) {
    conversion.shared = ExpertSpec{.neurons = at::arange(0, 8, at::kLong)};
    first = 8;
  }
  for (; first < kNeurons; first += 4)
    conversion.experts.push_back({.neurons = at::arange(first, first + 4, at::kLong)});
  const int64_t num_experts = static_cast<int64_t>(conversion.experts.size());
  conversion.router = {.kind = RouterKind::kLinear, .tensors = {{"weight", random({num_experts, kHidden}, 3)}}};
  return conversion;
}

std::vector<std::pair<std::string, LayerConversion>> AdjustmentScene::mixtures() const {
  std::vector<std::pair<std::string, LayerConversion>> mixtures = {{"shared", partition(true)},
                                                                   {"routed only", partition(false)}};
  LayerConversion weighted = partition(false);
  weighted.rule = {.softmax = RoutingRule::Softmax::kAfterTopK, .weights = RoutingRule::Weights::kScores, .scale = 3};
  mixtures.emplace_back("weighted", weighted);
  LayerConversion adaptive = partition(true);
  adaptive.rule.visits = RoutingRule::Visits::kThreshold;
  adaptive.rule.level = 0.5;
  adaptive.top_k = 4;
  adaptive.mean_visits = 2;
  mixtures.emplace_back("adaptive", adaptive);
  LayerConversion overlapping = weighted;
  overlapping.rule.scale = 1;
  for (size_t expert = 0; expert < overlapping.experts.size(); ++expert) {
    const int64_t first = static_cast<int64_t>(expert);
    overlapping.experts[expert] = {.neurons = at::arange(first, first + 12, at::kLong),
                                   .output_bias = random({kHidden}, 10 + expert)};
  }
  mixtures.emplace_back("overlapping", overlapping);
  LayerConversion own = partition(true);
  own.experts[1].own_weights = random_mlp(5, kHidden, 4);
  own.experts[0].top_neurons = 2;
  own.experts[2].absent_bias = random({kHidden}, 5);
  mixtures.emplace_back("own weights", own);
  mixtures.emplace_back("static", LayerConversion{.shared = ExpertSpec{.neurons = at::arange(0, 16, at::kLong)}});
  return mixtures;
}

at::Tensor AdjustmentScene::inputs() const { return at::cat(windows); }

at::Tensor AdjustmentScene::output(const LayerConversion& conversion) const {
  return MoeLayer(dense, conversion).forward(inputs());
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace moebench
