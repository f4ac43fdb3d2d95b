// moebench_cuda_kernels: one call on the GPU, router included, weights cold, in bfloat16, for every shape, active
// share, strategy and number of tokens; inputs and outputs stay there. Chosen by name:
//
//   moebench_cuda_kernels --benchmark_filter='llama-2-7b/.*/T1/' --benchmark_repetitions=9
//
// A CUDA graph holds a call of each of so many layers that a rotation reads five times what the second cache holds; of
// an iteration the time is that of the graph over its layers. Ratios of two rows are no verdict: arms do not take
// turns, and dense is this project's kernel, not cuBLAS.
#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "kernels/bfloat16.h"
#include "kernels/cuda/device_memory.h"
#include "kernels/cuda/moe_ffn.h"
#include "kernels/cuda/variants.h"
#include "kernels/timing/random_ffn.h"

namespace moebench::kernels::cuda {
namespace {

constexpr int64_t kTokenCounts[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
constexpr int64_t kExperts = 8;
constexpr int64_t kActive[] = {0, 2, 4, 6, 8};  // 0: dense
constexpr std::pair<Strategy, const char*> kStrategies[] = {{Strategy::kAuto, "cuda"},
                                                            {Strategy::kDecode, "cuda-decode"},
                                                            {Strategy::kPrefill, "cuda-prefill"},
                                                            {Strategy::kComposite, "cuda-composite"}};

double active_bytes(const FfnShape& shape, int64_t active) {
  const double dense = 3.0 * 2 * static_cast<double>(shape.hidden_size * shape.intermediate_size);
  return active == 0 ? dense : dense * static_cast<double>(active) / kExperts;
}

// Layers of one network on the device.
class Layers {
 public:
  Layers(const FfnShape& shape, int64_t active, Strategy strategy) : hidden_size_(shape.hidden_size) {
    int device = 0, cache_bytes = 0;
    check(cudaGetDevice(&device), "a device");
    check(cudaDeviceGetAttribute(&cache_bytes, cudaDevAttrL2CacheSize, device), "the second cache's size");
    const int64_t count = std::max<int64_t>(2, std::ceil(5.0 * cache_bytes / active_bytes(shape, active)));
    for (int64_t layer = 0; layer < count; ++layer) {
      const RandomFfn ffn = active == 0
                                ? RandomFfn(shape, Dtype::kBFloat16, layer)
                                : RandomFfn(shape, kExperts, RoutingPattern::kBalanced, Dtype::kBFloat16, layer);
      kernels_.push_back(make_moe_ffn(ffn.network(active), {.strategy = strategy}));
    }
  }

  void enqueue(const void* input, void* output, int64_t num_tokens, cudaStream_t stream) const {
    for (const auto& kernel : kernels_) {
      kernel->enqueue({.num_tokens = num_tokens,
                       .input = input,
                       .input_stride = hidden_size_,
                       .output = output,
                       .output_stride = hidden_size_},
                      stream);
    }
  }
  int64_t count() const { return static_cast<int64_t>(kernels_.size()); }

 private:
  int64_t hidden_size_;
  std::vector<std::unique_ptr<DeviceMoeFfn>> kernels_;
};

// Those of the last benchmark: the next is often of the same layers.
const Layers& layers_of(const FfnShape& shape, int64_t active, Strategy strategy) {
  static std::string name;
  static std::unique_ptr<Layers> layers;
  const std::string wanted = shape.name + std::to_string(active) + "/" + std::to_string(static_cast<int>(strategy));
  if (name == wanted) return *layers;
  name.clear();
  layers.reset();
  layers = std::make_unique<Layers>(shape, active, strategy);
  name = wanted;
  return *layers;
}

std::vector<uint16_t> random_inputs(int64_t count) {
  std::vector<uint16_t> inputs(count);
  std::mt19937 generator;
  std::normal_distribution<float> normal;
  for (uint16_t& input : inputs) input = bfloat16_of(normal(generator));
  return inputs;
}

// A graph of a call of every layer.
class Rotation {
 public:
  Rotation(const Layers& layers, int64_t num_tokens, int64_t hidden_size)
      : input_(uploaded(random_inputs(num_tokens * hidden_size), "inputs")),
        output_(num_tokens * hidden_size * sizeof(uint16_t), "outputs") {
    check(cudaStreamCreate(&stream_), "a stream");
    check(cudaEventCreate(&begin_), "an event");
    check(cudaEventCreate(&end_), "an event");
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeGlobal), "a capture");
    layers.enqueue(input_.data<void>(), output_.data<void>(), num_tokens, stream_);
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream_, &graph), "a capture");
    check(cudaGraphInstantiate(&graph_, graph, 0), "a graph");
    check(cudaGraphDestroy(graph), "a graph");
  }
  ~Rotation() {
    cudaGraphExecDestroy(graph_);
    cudaEventDestroy(begin_);
    cudaEventDestroy(end_);
    cudaStreamDestroy(stream_);
  }
  Rotation(const Rotation&) = delete;

  double seconds() const {
    check(cudaEventRecord(begin_, stream_), "an event");
    check(cudaGraphLaunch(graph_, stream_), "a graph");
    check(cudaEventRecord(end_, stream_), "an event");
    check(cudaEventSynchronize(end_), "a graph");
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin_, end_), "an event");
    return milliseconds / 1e3;
  }

 private:
  DeviceMemory input_, output_;
  cudaStream_t stream_ = nullptr;
  cudaEvent_t begin_ = nullptr, end_ = nullptr;
  cudaGraphExec_t graph_ = nullptr;
};

void measure(benchmark::State& state, const FfnShape& shape, int64_t active, Strategy strategy, int64_t num_tokens) {
  if (!why_unavailable().empty()) return state.SkipWithError(why_unavailable().c_str());
  const Layers& layers = layers_of(shape, active, strategy);
  const Rotation rotation(layers, num_tokens, shape.hidden_size);
  rotation.seconds();  // not counted: the first
  double seconds = 0;
  for (auto _ : state) {
    const double call = rotation.seconds() / static_cast<double>(layers.count());
    seconds += call;
    state.SetIterationTime(call);
  }
  seconds /= static_cast<double>(state.iterations());
  // Weights of experts that are visited: all that a token visits; of more tokens, at most all.
  const double bytes = active_bytes(shape, active);
  state.counters["GFLOP/s"] = bytes * static_cast<double>(num_tokens) / seconds / 1e9;  // two for each weight's 2 bytes
  if (num_tokens == 1) state.counters["GB/s"] = bytes / seconds / 1e9;
}

void add_benchmarks() {
  for (const FfnShape& shape : known_ffn_shapes()) {
    for (const int64_t active : kActive) {
      const std::string network = active == 0 ? "dense" : "S0A" + std::to_string(active) + "E8";
      for (const auto& [strategy, name] : kStrategies) {
        for (const int64_t num_tokens : kTokenCounts) {
          if (strategy == Strategy::kDecode && num_tokens > 64) continue;
          const std::string full = shape.name + "/" + network + "/T" + std::to_string(num_tokens) + "/" + name;
          benchmark::RegisterBenchmark(full.c_str(),
                                       [&shape, active, strategy = strategy, num_tokens](benchmark::State& state) {
                                         measure(state, shape, active, strategy, num_tokens);
                                       })
              ->UseManualTime()
              ->Unit(benchmark::kMicrosecond)
              ->Iterations(20);
        }
      }
    }
  }
}

}  // namespace
}  // namespace moebench::kernels::cuda

int main(int argument_count, char** arguments) try {
  benchmark::Initialize(&argument_count, arguments);
  if (benchmark::ReportUnrecognizedArguments(argument_count, arguments)) return 2;
  moebench::kernels::cuda::add_benchmarks();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "moebench_cuda_kernels: %s\n", error.what());
  return 2;
}
