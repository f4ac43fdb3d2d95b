// Tokens per second of the dense model, where scripts/fetch has put it: prefill, scoring as perplexity does it, decode;
// and without it, apply_linear beside at::linear (the same code where has_row_products says no, as with AVX-512).
#include <optional>

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include "harness/model/allocation.h"
#include "harness/model/linear.h"
#include "harness/model/llama.h"
#include "harness/scoring/window_scorer.h"

namespace moebench {
namespace {

constexpr int64_t kWindow = 2048;

// Loaded when a benchmark first asks for its precision, and kept.
const LlamaModel& model_in(at::ScalarType dtype) {
  static std::optional<LlamaModel> fp32, bf16;
  std::optional<LlamaModel>& model = dtype == at::kFloat ? fp32 : bf16;
  if (!model) model = LlamaModel::load(*open_checkpoint(resolve_model_path("smollm2-135m")), {.dtype = dtype});
  return *model;
}

at::Tensor random_ids(const LlamaModel& model, int64_t num_tokens) {
  return at::randint(model.config().vocab_size, {1, num_tokens}, at::kLong);
}

void prefill(benchmark::State& state, at::ScalarType dtype) {
  const c10::InferenceMode inference;
  const LlamaModel& model = model_in(dtype);
  const at::Tensor ids = random_ids(model, kWindow);
  for (auto _ : state) benchmark::DoNotOptimize(model.forward(ids).data_ptr());
  state.SetItemsProcessed(state.iterations() * kWindow);
}

void score_window(benchmark::State& state, at::ScalarType dtype) {
  const LlamaModel& model = model_in(dtype);
  const at::Tensor ids = random_ids(model, kWindow);
  const std::vector<ScoreRequest> requests = {{{ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + kWindow}}};
  for (auto _ : state) benchmark::DoNotOptimize(score(model, requests).data());
  state.SetItemsProcessed(state.iterations() * kWindow);
}

void score_head(benchmark::State& state, at::ScalarType dtype) {
  const LlamaModel& model = model_in(dtype);
  const at::Tensor hidden = at::randn({kWindow, model.config().hidden_size}).to(dtype);
  const at::Tensor targets = random_ids(model, kWindow)[0];
  for (auto _ : state) benchmark::DoNotOptimize(score_hidden(model, hidden, targets).logprobs.data());
  state.SetItemsProcessed(state.iterations() * kWindow);
}

void decode(benchmark::State& state, at::ScalarType dtype) {
  const c10::InferenceMode inference;
  constexpr int64_t kPrompt = 128, kTokens = 32;
  const LlamaModel& model = model_in(dtype);
  KvCache cache(model.config().num_layers);
  model.forward(random_ids(model, kPrompt), &cache);
  const at::Tensor id = random_ids(model, 1);
  for (auto _ : state) {
    cache.truncate(kPrompt);
    for (int64_t token = 0; token < kTokens; ++token) {
      benchmark::DoNotOptimize(model.logits(model.forward(id, &cache)).argmax().item<int64_t>());
    }
  }
  state.SetItemsProcessed(state.iterations() * kTokens);
}

// Rows, and a linear layer of SmolLM2-135M: attention, gate or up, down, head.
void layer_shapes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"rows", "in", "out"})->UseRealTime()->MeasureProcessCPUTime()->Unit(benchmark::kMillisecond);
  for (const int64_t rows : {32, 128, 2048}) {
    benchmark->Args({rows, 576, 576})->Args({rows, 576, 1536})->Args({rows, 1536, 576})->Args({rows, 576, 49152});
  }
}

void linear_layer(benchmark::State& state, at::ScalarType dtype, bool is_own) {
  const c10::InferenceMode inference;
  const at::Tensor input = at::randn({state.range(0), state.range(1)}).to(dtype);
  const at::Tensor weight = at::randn({state.range(2), state.range(1)}).to(dtype);
  for (auto _ : state)
    benchmark::DoNotOptimize((is_own ? apply_linear(input, weight) : at::linear(input, weight)).data_ptr());
  state.counters["FLOP/s"] = benchmark::Counter(2.0 * static_cast<double>(input.numel() * weight.size(0)),
                                                benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK_CAPTURE(linear_layer, own_float32, at::kFloat, true)->Apply(layer_shapes);
BENCHMARK_CAPTURE(linear_layer, aten_float32, at::kFloat, false)->Apply(layer_shapes);
BENCHMARK_CAPTURE(linear_layer, own_bfloat16, at::kBFloat16, true)->Apply(layer_shapes);
BENCHMARK_CAPTURE(linear_layer, aten_bfloat16, at::kBFloat16, false)->Apply(layer_shapes);

bool register_benchmarks() {
  try {
    resolve_model_path("smollm2-135m");
  } catch (const std::invalid_argument&) {
    return false;
  }
  keep_freed_memory();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto add = [&](const std::string& name, void (*run)(benchmark::State&, at::ScalarType)) {
      benchmark::RegisterBenchmark((name + "/" + c10::toString(dtype)).c_str(), run, dtype)
          ->UseRealTime()
          ->MeasureProcessCPUTime()
          ->Unit(benchmark::kMillisecond);
    };
    add("prefill", prefill);
    add("score_window", score_window);
    add("score_head", score_head);
    add("decode", decode);
  }
  return true;
}

const bool kRegistered = register_benchmarks();

}  // namespace
}  // namespace moebench
