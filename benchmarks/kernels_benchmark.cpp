// moebench_kernels: one call of a feed-forward network, router included, weights cold, for every shape, number of
// experts, active share, number of tokens, routing, dtype and kernel. What to run is chosen by name:
//
//   moebench_kernels --benchmark_filter='smollm2-135m/.*/bfloat16/.*' --benchmark_repetitions=15
//   --benchmark_format=json
//
// Repetitions are interleaved at random. Of each repetition the time is that of one call, the mean over iterations that
// rotate over layers; p10 to p99 are of the single calls. Compare networks by `moebench latency`, where arms take
// turns. A row above the machine's ceiling, or a mixture that computes every expert and is faster than dense, is an
// error.
#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/latency/model_stacks.h"
#include "harness/model/moe_layer.h"
#include "harness/text/corpus.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/timing/ceilings.h"
#include "kernels/timing/ffn_latency.h"
#include "kernels/timing/random_ffn.h"
#include "kernels/variants.h"

namespace moebench {
namespace {

using kernels::Dtype;
using kernels::LayerStack;
using kernels::RandomFfn;
using kernels::RoutingPattern;

constexpr int64_t kTokenCounts[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
constexpr int64_t kExpertCounts[] = {8, 16, 48};
constexpr int kActiveEighths[] = {1, 2, 4, 6, 8};

const char* name_of(Dtype dtype) { return dtype == Dtype::kFloat32 ? "float32" : "bfloat16"; }

kernels::Ceilings& ceilings(int num_threads) {
  static std::map<int, kernels::Ceilings> measured;
  const auto found = measured.find(num_threads);
  if (found != measured.end()) return found->second;
  return measured[num_threads] = kernels::measure_ceilings(*kernels::chosen_instruction_set(), num_threads);
}

// A network to measure and how to make it; made when a benchmark first asks, dropped when many others have been made.
struct Network {
  std::string name;
  std::function<LayerStack(std::vector<std::unique_ptr<RandomFfn>>& memory)> make;
};

struct MadeNetwork {
  std::string name;
  std::vector<std::unique_ptr<RandomFfn>> memory;
  LayerStack stack;
};

const LayerStack& made(const Network& network) {
  constexpr size_t kKept = 4;
  static std::deque<std::unique_ptr<MadeNetwork>> kept;
  for (const auto& one : kept) {
    if (one->name == network.name) return one->stack;
  }
  if (kept.size() == kKept) kept.pop_front();
  kept.push_back(std::make_unique<MadeNetwork>());
  kept.back()->name = network.name;
  kept.back()->stack = network.make(kept.back()->memory);
  return kept.back()->stack;
}

void measure(benchmark::State& state, const Network& network, const std::string& variant, int64_t num_tokens,
             int num_threads) {
  const LayerStack& stack = made(network);
  const Dtype dtype = stack.layers.front().dtype;
  const kernels::LatencyOptions options{.num_tokens = {num_tokens},
                                        .variants = {variant},
                                        .num_threads = num_threads,
                                        .limits = {.min_rounds = static_cast<int64_t>(state.max_iterations),
                                                   .max_rounds = static_cast<int64_t>(state.max_iterations),
                                                   .seconds = 0}};
  const kernels::LatencyRow row = kernels::measure_ffn_latency({stack}, options).front();
  for (size_t iteration = 0; state.KeepRunning(); ++iteration) state.SetIterationTime(row.seconds.at(iteration));

  const double seconds = kernels::quantile(row.seconds, 0.5);
  const auto share = [&] { return kernels::ceiling_share(row, ceilings(num_threads), dtype); };
  // The machine may have become quieter since its ceilings were measured.
  if (share() > 1) ceilings(num_threads) = kernels::measure_ceilings(*kernels::chosen_instruction_set(), num_threads);
  constexpr double kNoise = 1.1;
  if (share() > kNoise) state.SkipWithError("above the machine's ceiling: was something in a cache, or left out?");
  state.counters["GB/s"] = row.bytes / seconds / 1e9;
  state.counters["GFLOP/s"] = row.flops / seconds / 1e9;
  state.counters["ceiling_%"] = 100 * share();
  state.counters["experts_hit"] = row.experts_hit;
  state.counters["max/mean_load"] = row.load;
  for (const auto& [name, q] : {std::pair("p10_us", 0.1), {"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}}) {
    state.counters[name] = 1e6 * kernels::quantile(row.seconds, q);
  }
}

// Every expert with a router cannot be faster than dense.
void self_check(benchmark::State& state, const Network& dense, const Network& everything) {
  const std::vector<LayerStack> stacks = {made(dense), made(everything)};
  const kernels::LatencyOptions options{
      .num_tokens = {1, 256}, .variants = {"fused"}, .num_threads = at::get_num_threads()};
  for (auto _ : state) {
    for (const kernels::LatencyRow& row : kernels::measure_ffn_latency(stacks, options)) {
      if (row.network != "dense" && row.verdict == kernels::Verdict::kFaster) {
        state.SkipWithError("a mixture that computes every expert was faster than dense");
      }
    }
    state.SetIterationTime(1);
  }
}

double dense_bytes(const kernels::FfnShape& shape, Dtype dtype) {
  return 3.0 * static_cast<double>(shape.hidden_size * shape.intermediate_size * kernels::element_size(dtype));
}

Network dense_network(const kernels::FfnShape& shape, Dtype dtype) {
  return {shape.name + "/dense/" + name_of(dtype), [&shape, dtype](auto& memory) {
            LayerStack stack{.name = "dense"};
            for (int64_t layer = 0; layer < kernels::layers_for_cold_weights(dense_bytes(shape, dtype)); ++layer) {
              memory.push_back(std::make_unique<RandomFfn>(shape, dtype, layer));
              stack.layers.push_back(memory.back()->network());
            }
            return stack;
          }};
}

Network mixture_network(const kernels::FfnShape& shape, int64_t num_experts, int64_t top_k, RoutingPattern pattern,
                        Dtype dtype) {
  const std::string shape_name = "S0A" + std::to_string(top_k) + "E" + std::to_string(num_experts);
  return {shape.name + "/" + shape_name + "/" + kernels::name_of(pattern) + "/" + name_of(dtype),
          [=, &shape](auto& memory) {
            const double share = static_cast<double>(top_k) / static_cast<double>(num_experts);
            LayerStack stack{.name = shape_name};
            const int64_t layers = kernels::layers_for_cold_weights(dense_bytes(shape, dtype) * share);
            for (int64_t layer = 0; layer < layers; ++layer) {
              memory.push_back(std::make_unique<RandomFfn>(shape, num_experts, pattern, dtype, layer));
              stack.layers.push_back(memory.back()->network(top_k));
            }
            return stack;
          }};
}

void add(const Network& network) {
  std::vector<int> thread_counts = {1};
  if (at::get_num_threads() > 1) thread_counts.push_back(at::get_num_threads());
  for (const kernels::MoeFfnVariant& variant : kernels::moe_ffn_variants()) {
    // Called with the host's pointers, as here, the GPU's kernels would mostly be timed copying.
    if (variant.name == "reference" || variant.name.starts_with("cuda")) continue;
    for (const int64_t num_tokens : kTokenCounts) {
      for (const int num_threads : thread_counts) {
        const std::string name = network.name + "/T" + std::to_string(num_tokens) + "/" + variant.name + "/threads" +
                                 std::to_string(num_threads);
        benchmark::RegisterBenchmark(
            name.c_str(),
            [=](benchmark::State& state) { measure(state, network, variant.name, num_tokens, num_threads); })
            ->UseManualTime()
            ->Unit(benchmark::kMicrosecond)
            ->Iterations(num_tokens <= 64 ? 50 : 5);
      }
    }
  }
}

void add_shape(const kernels::FfnShape& shape) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kBFloat16}) {
    const Network dense = dense_network(shape, dtype);
    add(dense);
    for (const int64_t num_experts : kExpertCounts) {
      if (shape.intermediate_size % num_experts != 0) continue;
      for (const int eighths : kActiveEighths) {
        if (eighths * num_experts % 8 != 0) continue;
        for (const auto pattern : {RoutingPattern::kBalanced, RoutingPattern::kSkewed, RoutingPattern::kOne}) {
          add(mixture_network(shape, num_experts, eighths * num_experts / 8, pattern, dtype));
        }
      }
    }
    const Network everything = mixture_network(shape, 8, 8, RoutingPattern::kBalanced, dtype);
    benchmark::RegisterBenchmark((shape.name + "/self_check/" + name_of(dtype)).c_str(),
                                 [=](benchmark::State& state) { self_check(state, dense, everything); })
        ->UseManualTime()
        ->Iterations(1);
  }
}

// A conversion of a real model, on a text that it routes: what balanced and skewed stand for.
class RealModel {
 public:
  RealModel(const std::string& model_name, const std::string& conversion, const std::string& text) {
    const std::filesystem::path path = resolve_model_path(model_name);
    model_ = LlamaModel::load(*open_checkpoint(path), {});
    apply_conversion(load_conversion(conversion), *model_);
    const at::Tensor stream = token_stream(read_named_corpus(text), *Tokenizer::load(path));
    stacks_ = model_stacks(*model_, stream.narrow(0, 0, std::min<int64_t>(stream.size(0), 4096)));
    for (const LayerStack& stack : stacks_->stacks) {
      add({model_name + "/" + stack.name + "/real/float32", [&stack](auto&) { return stack; }});
    }
  }

 private:
  std::optional<LlamaModel> model_;
  std::optional<ModelStacks> stacks_;
};

// Takes `--name=value` out of the arguments; "" if it is not there.
std::string take(const std::string& name, std::vector<char*>& arguments) {
  const std::string prefix = "--" + name + "=";
  const auto found = std::find_if(arguments.begin() + 1, arguments.end(),
                                  [&](const char* argument) { return std::string(argument).starts_with(prefix); });
  if (found == arguments.end()) return "";
  const std::string value = *found + prefix.size();
  arguments.erase(found);
  return value;
}

int run(std::vector<char*> arguments) {
  if (kernels::chosen_instruction_set() == nullptr) throw std::runtime_error("a processor with AVX2 is needed");
  const std::string model = take("model", arguments), conversion = take("conversion", arguments);
  const std::string text = take("text", arguments);
  std::string interleave = "--benchmark_enable_random_interleaving=true";
  arguments.insert(arguments.begin() + 1, interleave.data());
  auto count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 2;
  if (model.empty() != conversion.empty()) throw std::invalid_argument("--model=M and --conversion=FILE go together");
  for (const kernels::FfnShape& shape : kernels::known_ffn_shapes()) add_shape(shape);
  std::optional<RealModel> real;
  if (!model.empty()) real.emplace(model, conversion, text.empty() ? "wiki-passages-test" : text);

  const kernels::Ceilings& ceiling = ceilings(at::get_num_threads());
  benchmark::AddCustomContext("instruction_set", kernels::chosen_instruction_set()->name);
  benchmark::AddCustomContext("read_gigabytes_per_second", std::to_string(ceiling.read_bytes_per_second / 1e9));
  benchmark::AddCustomContext("float32_gigaflops", std::to_string(ceiling.float32_flops / 1e9));
  benchmark::AddCustomContext("bfloat16_gigaflops", std::to_string(ceiling.bfloat16_flops / 1e9));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace moebench

int main(int argument_count, char** arguments) try {
  return moebench::run({arguments, arguments + argument_count});
} catch (const std::exception& error) {
  std::fprintf(stderr, "moebench_kernels: %s\n", error.what());
  return 2;
}
