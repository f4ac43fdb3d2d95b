// Whether the fused kernel's limit of few tokens stands where it should: for numbers of tokens around it, the default
// beside both ways of computing, in turns, weights cold. Counters are time over the default's; a way that is faster by
// more than noise is named.
//
//   dispatch_benchmark --benchmark_filter=smollm2-135m
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernels/cpu/fused.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/timing/ffn_latency.h"
#include "kernels/timing/random_ffn.h"
#include "kernels/timing/turns.h"

namespace moebench::kernels {
namespace {

constexpr int64_t kTokenCounts[] = {2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256};
constexpr double kNoise = 0.03;

struct Choice {
  const char* name;
  int64_t few_tokens;
};
constexpr Choice kChoices[] = {{"default", kFewTokens}, {"few", 1 << 20}, {"many", 0}};

// One choice's kernels of all layers.
using Kernels = std::vector<std::unique_ptr<MoeFfnKernel>>;

std::vector<Kernels> kernels_of(const std::vector<std::unique_ptr<RandomFfn>>& layers, int64_t top_k) {
  std::vector<Kernels> kernels;
  for (const Choice& choice : kChoices) {
    Kernels& of_choice = kernels.emplace_back();
    for (const auto& layer : layers) {
      of_choice.push_back(make_fused(layer->network(top_k), *chosen_instruction_set(), choice.few_tokens));
    }
  }
  return kernels;
}

void compare(benchmark::State& state, const FfnShape& shape, Dtype dtype, int64_t num_experts, int64_t top_k) {
  const double share = num_experts == 0 ? 1 : static_cast<double>(top_k) / static_cast<double>(num_experts);
  const double bytes =
      3 * share * static_cast<double>(shape.hidden_size * shape.intermediate_size * element_size(dtype));
  std::vector<std::unique_ptr<RandomFfn>> layers;
  // Every choice packs weights of its own, and a round reads them all.
  const int64_t num_layers = layers_for_cold_weights(bytes) / std::ssize(kChoices) + 1;
  for (int64_t layer = 0; layer < num_layers; ++layer) {
    layers.push_back(num_experts == 0
                         ? std::make_unique<RandomFfn>(shape, dtype, layer)
                         : std::make_unique<RandomFfn>(shape, num_experts, RoutingPattern::kBalanced, dtype, layer));
  }
  const std::vector<Kernels> kernels = kernels_of(layers, top_k);
  const int64_t num_tokens = state.range(0);
  const RandomMatrix input(num_tokens, shape.hidden_size, dtype, 1), output(num_tokens, shape.hidden_size, dtype, 2);
  const MoeFfnCall call{.num_tokens = num_tokens,
                        .input = input.view().data,
                        .input_stride = shape.hidden_size,
                        .output = const_cast<void*>(output.view().data),
                        .output_stride = shape.hidden_size,
                        .num_threads = static_cast<int>(std::thread::hardware_concurrency())};
  std::vector<TimedArm> arms;
  for (const Kernels& of_choice : kernels) {
    arms.push_back({"", [&of_choice, call](int64_t round) { of_choice[round % std::ssize(of_choice)]->run(call); }});
  }
  for (auto _ : state) {
    const auto seconds = time_in_turns(arms, {.min_rounds = 15, .seconds = 1});
    state.SetIterationTime(quantile(seconds[0], 0.5));
    std::string faster;
    for (size_t choice = 1; choice < arms.size(); ++choice) {
      const PairedRatio ratio = paired_ratio(seconds[choice], seconds[0]);
      state.counters[kChoices[choice].name] = ratio.median;
      if (ratio.high < 1 - kNoise) faster += std::string(" ") + kChoices[choice].name;
    }
    if (!faster.empty()) state.SetLabel("faster than the default:" + faster);
  }
}

bool register_benchmarks() {
  if (chosen_instruction_set() == nullptr) return false;
  benchmark::AddCustomContext("instruction_set", chosen_instruction_set()->name);
  for (const FfnShape& shape : known_ffn_shapes()) {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBFloat16}) {
      for (const auto& [num_experts, top_k] : {std::pair<int64_t, int64_t>{0, 0}, {8, 4}, {48, 12}}) {
        if (num_experts > 0 && shape.intermediate_size % num_experts != 0) continue;
        const std::string mixture = "S0A" + std::to_string(top_k) + "E" + std::to_string(num_experts);
        const std::string name = shape.name + "/" + (num_experts == 0 ? "dense" : mixture) + "/" +
                                 (dtype == Dtype::kFloat32 ? "float32" : "bfloat16");
        auto* benchmark = benchmark::RegisterBenchmark(
            name.c_str(), [=, &shape](benchmark::State& state) { compare(state, shape, dtype, num_experts, top_k); });
        for (const int64_t num_tokens : kTokenCounts) benchmark->Arg(num_tokens);
        benchmark->ArgName("tokens")->UseManualTime()->Iterations(1)->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return true;
}

const bool kRegistered = register_benchmarks();

}  // namespace
}  // namespace moebench::kernels
