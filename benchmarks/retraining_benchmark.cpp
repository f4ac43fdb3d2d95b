// A retraining step of SmolLM2-135M, where scripts/fetch has put it: dense and half active, low-rank updates of the
// same kind; the tokens of a step are the same. What a step of a conversion costs beside the dense model's is `ratio`:
// the two alternate, and it is the median of the paired quotients.
#include <algorithm>
#include <chrono>
#include <optional>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <benchmark/benchmark.h>

#include "harness/model/allocation.h"
#include "harness/retraining/recipe.h"
#include "harness/retraining/stage_run.h"

namespace moebench {
namespace {

constexpr int64_t kTokens = 4096;

const Checkpoint& smollm2() {
  static const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(resolve_model_path("smollm2-135m"));
  return *checkpoint;
}

at::Tensor random_rows(int64_t rows, int64_t columns, uint64_t seed) {
  return at::randn({rows, columns}, at::detail::createCPUGenerator(seed)) / 24;
}

// num_shared of num_experts equal slices always visited, top_k of the others by a linear router.
Conversion sliced(int64_t num_shared, int64_t top_k, int64_t num_experts) {
  const LlamaConfig& config = smollm2().config();
  const int64_t width = config.intermediate_size / num_experts, num_routed = num_experts - num_shared;
  Conversion conversion;
  for (int64_t layer = 0; layer < config.num_layers; ++layer) {
    const at::Tensor order = at::randperm(config.intermediate_size, at::detail::createCPUGenerator(layer), at::kLong);
    const auto slice = [&](int64_t first, int64_t count) {
      return ExpertSpec{.neurons = std::get<0>(order.narrow(0, first * width, count * width).sort())};
    };
    LayerConversion mixture{.top_k = top_k};
    if (num_shared > 0) mixture.shared = slice(0, num_shared);
    for (int64_t expert = num_shared; expert < num_experts; ++expert) mixture.experts.push_back(slice(expert, 1));
    mixture.router = {.kind = RouterKind::kLinear,
                      .tensors = {{"weight", random_rows(num_routed, config.hidden_size, layer)}}};
    mixture.rule = {.softmax = RoutingRule::Softmax::kAfterTopK,
                    .weights = RoutingRule::Weights::kScores,
                    .scale = static_cast<double>(top_k)};
    conversion.layers.push_back(mixture);
  }
  return conversion;
}

Conversion all_dense() {
  Conversion conversion;
  conversion.layers.assign(smollm2().config().num_layers, {.keep_dense = true});
  return conversion;
}

// Steps of the common recipe.
class Trainer {
 public:
  Trainer(const Conversion& conversion, at::ScalarType dtype, int64_t window)
      : window_(window),
        run_(smollm2(), conversion,
             {.stage = recipe_for("common", {}).front(), .steps = 1000, .windows_a_step = kTokens / window}, {}, dtype,
             /*activation_checkpointing=*/false, {}) {}

  // Seconds.
  double step() {
    const at::Tensor windows = at::randint(smollm2().config().vocab_size, {kTokens / window_, window_},
                                           at::detail::createCPUGenerator(step_), at::kLong);
    const auto start = std::chrono::steady_clock::now();
    run_.step(step_++, windows);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

 private:
  int64_t window_;
  StageRun run_;
  int64_t step_ = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void step_beside_dense(benchmark::State& state, const Conversion& conversion, at::ScalarType dtype) {
  Trainer dense(all_dense(), dtype, state.range(0)), converted(conversion, dtype, state.range(0));
  dense.step();
  converted.step();
  std::vector<double> dense_seconds, seconds, ratios;
  for (auto _ : state) {
    dense_seconds.push_back(dense.step());
    seconds.push_back(converted.step());
    ratios.push_back(seconds.back() / dense_seconds.back());
    state.SetIterationTime(seconds.back());
  }
  state.counters["ratio"] = median(ratios);
  state.counters["dense_tokens_per_second"] = kTokens / median(dense_seconds);
  state.counters["tokens_per_second"] = kTokens / median(seconds);
}

bool register_benchmarks() {
  try {
    resolve_model_path("smollm2-135m");
  } catch (const std::invalid_argument&) {
    return false;
  }
  keep_freed_memory();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto add = [&](const std::string& name, int64_t num_shared, int64_t top_k, int64_t num_experts) {
      benchmark::RegisterBenchmark(
          (name + "/" + c10::toString(dtype)).c_str(),
          [=](benchmark::State& state) { step_beside_dense(state, sliced(num_shared, top_k, num_experts), dtype); })
          ->ArgName("window")
          ->Arg(512)
          ->UseManualTime()
          ->Iterations(3)
          ->Unit(benchmark::kMillisecond);
    };
    add("retrain_step/S1A3E8", 1, 3, 8);
    add("retrain_step/S0A4E8", 0, 4, 8);
    add("retrain_step/S8A16E48", 8, 16, 48);
    add("retrain_step/S16A32E96", 16, 32, 96);
  }
  return true;
}

const bool kRegistered = register_benchmarks();

}  // namespace
}  // namespace moebench
