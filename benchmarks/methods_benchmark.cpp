// What a CMoE conversion costs beside the model's own passes, at the shapes of SmolLM2-135M and a 7B layer: scores and
// markers of a window, marker distances and representatives, the balanced assignment. And a MoE layer against dense.
#include <algorithm>
#include <random>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <benchmark/benchmark.h>

#include "harness/model/moe_layer.h"
#include "methods/activation_markers.h"
#include "methods/analytic_router.h"
#include "methods/balanced_assignment.h"
#include "methods/layout.h"
#include "methods/marker_clusters.h"

namespace moebench {
namespace {

constexpr int64_t kTokens = 8 * 2048, kMarksPerToken = 10;

// Marks as skewed as a real layer's: most fall on few neurons.
std::vector<int32_t> skewed_marks(int64_t num_neurons) {
  std::mt19937 random(1);
  std::vector<int32_t> marks;
  for (int64_t token = 0; token < kTokens; ++token) {
    const size_t first = marks.size();
    while (marks.size() < first + kMarksPerToken) {
      const double uniform = static_cast<double>(random()) / 4294967296.0;
      const auto neuron = static_cast<int32_t>(uniform * uniform * uniform * static_cast<double>(num_neurons));
      if (std::find(marks.begin() + first, marks.end(), neuron) == marks.end()) marks.push_back(neuron);
    }
  }
  return marks;
}

GatedMlpWeights random_mlp(int64_t num_neurons, int64_t hidden_size) {
  return {at::randn({num_neurons, hidden_size}) / 24, at::randn({num_neurons, hidden_size}) / 24,
          at::randn({hidden_size, num_neurons}) / 40};
}

void observe_window(benchmark::State& state) {
  const at::NoGradGuard no_grad;
  const GatedMlpWeights dense = random_mlp(1536, 576);
  const at::Tensor inputs = at::randn({2048, 576});
  const at::Tensor gate = at::linear(inputs, dense.gate_proj), up = at::linear(inputs, dense.up_proj);
  const at::Tensor activations = at::silu(gate) * up;
  const FfnChunk chunk{inputs, gate, up, activations, inputs, 0};
  for (auto _ : state) {
    ActivationMarkers markers(dense, ActivationScore::kNormalised, kMarksPerToken);
    markers.observe(chunk);
    benchmark::DoNotOptimize(markers);
  }
}
BENCHMARK(observe_window)->Unit(benchmark::kMillisecond)->UseRealTime();

void marker_matrix(benchmark::State& state) {
  const std::vector<int32_t> marks = skewed_marks(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(MarkerMatrix(marks, kMarksPerToken, state.range(0)));
}
BENCHMARK(marker_matrix)->ArgName("neurons")->Arg(1536)->Arg(11008)->Unit(benchmark::kMillisecond);

// The whole of a layer after its last window: S3A3E8's shared set, distances, assignment, representatives.
void cluster_layer(benchmark::State& state) {
  const int64_t num_neurons = state.range(0), num_experts = state.range(1), num_shared = state.range(2);
  const MarkerMatrix markers(skewed_marks(num_neurons), kMarksPerToken, num_neurons);
  for (auto _ : state) {
    const auto all = other_neurons({}, num_neurons);
    const auto routed = other_neurons(most_marked(markers, all, num_shared * num_neurons / num_experts), num_neurons);
    const auto seeds = most_marked(markers, routed, num_experts - num_shared);
    for (const auto& cluster : cluster_by_markers(markers, routed, seeds, MarkerDistance::kL1)) {
      benchmark::DoNotOptimize(representative(markers, cluster));
    }
  }
}
BENCHMARK(cluster_layer)
    ->ArgNames({"neurons", "experts", "shared"})
    ->Args({1536, 8, 3})
    ->Args({1536, 8, 1})
    ->Args({1536, 16, 2})
    ->Args({11008, 8, 3})
    ->Args({11008, 16, 2})
    ->Unit(benchmark::kMillisecond);

// The assignment alone, on distances without ties: the hard case.
void assignment(benchmark::State& state) {
  const int64_t num_items = state.range(0), num_clusters = state.range(1);
  std::mt19937 random(1);
  std::vector<int64_t> costs(num_items * num_clusters);
  for (int64_t& cost : costs) cost = random() % 1000000;
  for (auto _ : state) benchmark::DoNotOptimize(balanced_assignment(costs, num_clusters));
}
BENCHMARK(assignment)
    ->ArgNames({"items", "clusters"})
    ->Args({960, 5})
    ->Args({1344, 14})
    ->Args({6880, 5})
    ->Args({9632, 14})
    ->Unit(benchmark::kMillisecond);

// S3A3E8 with an analytic router, torch operations, against the dense layer on the same tokens.
void feed_forward(benchmark::State& state, bool is_dense) {
  const at::NoGradGuard no_grad;
  const GatedMlpWeights dense = random_mlp(1536, 576);
  LayerConversion conversion{.top_k = 3};
  std::vector<std::vector<int64_t>> neurons(6);
  for (int64_t neuron = 0; neuron < 1536; ++neuron) {
    neurons[neuron % 8 < 3 ? 5 : neuron % 8 - 3].push_back(neuron);
  }
  conversion.shared = expert_of(neurons[5]);
  std::vector<int64_t> representatives;
  for (int64_t expert = 0; expert < 5; ++expert) {
    conversion.experts.push_back(expert_of(neurons[expert]));
    representatives.push_back(neurons[expert].front());
  }
  set_analytic_router(conversion, {0, dense}, representatives);
  const MoeLayer moe(dense, conversion);
  const GatedMlp mlp(dense);
  const FeedForward& layer = is_dense ? static_cast<const FeedForward&>(mlp) : moe;
  const at::Tensor hidden = at::randn({state.range(0), 576});
  for (auto _ : state) benchmark::DoNotOptimize(layer.forward(hidden));
}
BENCHMARK_CAPTURE(feed_forward, dense, true)
    ->ArgName("tokens")
    ->Arg(1)
    ->Arg(2048)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();
BENCHMARK_CAPTURE(feed_forward, S3A3E8, false)
    ->ArgName("tokens")
    ->Arg(1)
    ->Arg(2048)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime();

}  // namespace
}  // namespace moebench
