// latency: is a mixture's feed-forward network faster than the dense one, and from how many tokens on?
#include <algorithm>
#include <memory>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness/commands/commands.h"
#include "harness/commands/terminal_progress.h"
#include "harness/interrupt.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/timing/ffn_latency.h"
#include "kernels/timing/random_ffn.h"

namespace moebench {
namespace {

using kernels::Ceilings;
using kernels::Dtype;
using kernels::LatencyRow;
using kernels::LayerStack;
using kernels::RandomFfn;
using kernels::RoutingPattern;

struct Arguments {
  std::string shape;
  int64_t num_experts = 8;
  std::vector<double> active_ratios = {0.25, 0.5, 0.75};
  std::vector<int64_t> num_tokens = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
  std::vector<std::string> variants = {"library", "fused"};
  std::string dtype = "float32";
  std::string routing = "balanced";
  int num_threads = 0;
  double seconds = 2;
  int64_t min_rounds = 15;
  bool as_json = false;
};

Dtype kernel_dtype(const std::string& name) { return name == "float32" ? Dtype::kFloat32 : Dtype::kBFloat16; }

RoutingPattern routing_pattern(const std::string& name) {
  for (const RoutingPattern pattern : {RoutingPattern::kBalanced, RoutingPattern::kSkewed, RoutingPattern::kOne}) {
    if (name == kernels::name_of(pattern)) return pattern;
  }
  throw std::invalid_argument("--routing " + name);
}

// The networks that are compared, and the memory of their weights.
struct Networks {
  std::vector<std::unique_ptr<RandomFfn>> memory;
  std::vector<LayerStack> stacks;
};

Networks random_networks(const Arguments& arguments) {
  const kernels::FfnShape& shape = kernels::ffn_shape(arguments.shape);
  const Dtype dtype = kernel_dtype(arguments.dtype);
  const double dense_bytes = 3.0 * static_cast<double>(shape.hidden_size * shape.intermediate_size) *
                             static_cast<double>(kernels::element_size(dtype));
  Networks networks;
  networks.stacks.push_back({.name = "dense"});
  for (int64_t layer = 0; layer < kernels::layers_for_cold_weights(dense_bytes); ++layer) {
    networks.memory.push_back(std::make_unique<RandomFfn>(shape, dtype, layer));
    networks.stacks[0].layers.push_back(networks.memory.back()->network());
  }
  const double least = *std::min_element(arguments.active_ratios.begin(), arguments.active_ratios.end());
  const int64_t num_layers = kernels::layers_for_cold_weights(dense_bytes * least);
  std::vector<const RandomFfn*> mixtures;
  for (int64_t layer = 0; layer < num_layers; ++layer) {
    networks.memory.push_back(std::make_unique<RandomFfn>(shape, arguments.num_experts,
                                                          routing_pattern(arguments.routing), dtype, 1000 + layer));
    mixtures.push_back(networks.memory.back().get());
  }
  for (const double ratio : arguments.active_ratios) {
    const auto top_k = std::llround(ratio * static_cast<double>(arguments.num_experts));
    if (top_k < 1) throw std::invalid_argument(fmt::format("--active-ratio {}: not one expert", ratio));
    LayerStack stack{.name = fmt::format("S0A{}E{}", top_k, arguments.num_experts),
                     .active_ratio = static_cast<double>(top_k) / static_cast<double>(arguments.num_experts)};
    for (const RandomFfn* mixture : mixtures) stack.layers.push_back(mixture->network(top_k));
    networks.stacks.push_back(std::move(stack));
  }
  return networks;
}

struct Placed {
  double gigabytes_per_second, gigaflops, share_of_ceiling;
};

// Against whichever bound is nearer.
Placed place(const LatencyRow& row, const Ceilings& ceilings, Dtype dtype) {
  const double seconds = kernels::quantile(row.seconds, 0.5);
  return {row.bytes / seconds / 1e9, row.flops / seconds / 1e9,
          std::max(row.bytes / seconds / ceilings.read_bytes_per_second, row.flops / seconds / ceilings.flops(dtype))};
}

void print_table(const std::vector<LatencyRow>& rows, const Ceilings& ceilings, Dtype dtype) {
  fmt::print("{:>6}  {:<9} {:<8} {:>10} {:>10} {:>10}  {:<22} {:<17} {:>7} {:>8} {:>5} {:>5} {:>5}\n", "tokens",
             "network", "kernel", "p10 us", "p50 us", "p90 us", "time / best dense", "verdict", "GB/s", "GFLOP/s",
             "ceil.", "hit", "load");
  for (const LatencyRow& row : rows) {
    const Placed placed = place(row, ceilings, dtype);
    const auto microseconds = [&](double q) { return 1e6 * kernels::quantile(row.seconds, q); };
    const std::string verdict = row.is_best_dense ? "the best dense" : kernels::name_of(row.verdict);
    fmt::print(
        "{:>6}  {:<9} {:<8} {:>10.1f} {:>10.1f} {:>10.1f}  {:<22} {:<17} {:>7.1f} {:>8.1f} {:>4.0f}% {:>5.1f} "
        "{:>5.2f}\n",
        row.num_tokens, row.network, row.variant, microseconds(0.1), microseconds(0.5), microseconds(0.9),
        fmt::format("{:.3f} ({:.3f} to {:.3f})", row.ratio.median, row.ratio.low, row.ratio.high), verdict,
        placed.gigabytes_per_second, placed.gigaflops, 100 * placed.share_of_ceiling, row.experts_hit, row.load);
  }
}

nlohmann::ordered_json row_json(const LatencyRow& row, const Ceilings& ceilings, Dtype dtype) {
  const Placed placed = place(row, ceilings, dtype);
  nlohmann::ordered_json microseconds;
  for (const auto& [name, q] : {std::pair("min", 0.0), {"p10", 0.1}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}) {
    microseconds[name] = 1e6 * kernels::quantile(row.seconds, q);
  }
  const auto ratio = [](const kernels::PairedRatio& value) {
    return nlohmann::ordered_json{{"median", value.median}, {"low", value.low}, {"high", value.high}};
  };
  return {{"tokens", row.num_tokens},
          {"network", row.network},
          {"active_ratio", row.active_ratio},
          {"kernel", row.variant},
          {"rounds", row.seconds.size()},
          {"microseconds", microseconds},
          {"time_over_best_dense", ratio(row.ratio)},
          {"best_dense_over_itself", ratio(row.same)},
          {"is_best_dense", row.is_best_dense},
          {"verdict", row.is_best_dense ? "" : kernels::name_of(row.verdict)},
          {"gigabytes_per_second", placed.gigabytes_per_second},
          {"gigaflops", placed.gigaflops},
          {"share_of_ceiling", placed.share_of_ceiling},
          {"experts_hit", row.experts_hit},
          {"max_over_mean_load", row.load}};
}

int latency(const Arguments& arguments) {
  const kernels::InstructionSet* instruction_set = kernels::chosen_instruction_set();
  if (instruction_set == nullptr) throw std::runtime_error("latency needs a processor with AVX2");
  const Dtype dtype = kernel_dtype(arguments.dtype);
  const int num_threads = arguments.num_threads > 0 ? arguments.num_threads : at::get_num_threads();
  const Networks networks = random_networks(arguments);
  const Ceilings ceilings = kernels::measure_ceilings(*instruction_set, num_threads);
  SweepProgress progress = terminal_progress();
  progress.start("latency", "latency");
  kernels::LatencyOptions options{.num_tokens = arguments.num_tokens,
                                  .variants = arguments.variants,
                                  .num_threads = num_threads,
                                  .limits = {.min_rounds = arguments.min_rounds, .seconds = arguments.seconds},
                                  .progress = [&](double done) {
                                    throw_if_interrupted();
                                    progress.update(done);
                                  }};
  const std::vector<LatencyRow> rows = kernels::measure_ffn_latency(networks.stacks, options);
  progress.finish();
  if (!arguments.as_json) {
    fmt::print("{}, {}, {}, {} threads; ceilings: {:.1f} GB/s read, {:.0f} GFLOP/s\n", arguments.shape, arguments.dtype,
               instruction_set->name, num_threads, ceilings.read_bytes_per_second / 1e9, ceilings.flops(dtype) / 1e9);
    print_table(rows, ceilings, dtype);
    return 0;
  }
  nlohmann::ordered_json json = {{"shape", arguments.shape},
                                 {"dtype", arguments.dtype},
                                 {"instruction_set", instruction_set->name},
                                 {"threads", num_threads},
                                 {"routing", arguments.routing},
                                 {"ceilings",
                                  {{"read_gigabytes_per_second", ceilings.read_bytes_per_second / 1e9},
                                   {"gigaflops", ceilings.flops(dtype) / 1e9}}}};
  for (const LatencyRow& row : rows) json["rows"].push_back(row_json(row, ceilings, dtype));
  fmt::print("{}\n", json.dump(1));
  return 0;
}

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const kernels::FfnShape& shape : kernels::known_ffn_shapes()) names.push_back(shape.name);
  return names;
}

}  // namespace

std::function<int()> define_latency(CLI::App& command) {
  auto arguments = std::make_shared<Arguments>();
  command.add_option("--shape", arguments->shape, "random weights of a published model's shape")
      ->required()
      ->check(CLI::IsMember(shape_names()));
  command.add_option("--experts", arguments->num_experts, "equal experts")
      ->check(CLI::Range(int64_t{1}, kernels::kMaxExperts))
      ->capture_default_str();
  command.add_option("--active-ratio", arguments->active_ratios, "share of the experts that a token visits")
      ->delimiter(',')
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--tokens", arguments->num_tokens, "tokens in a call")
      ->delimiter(',')
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 16))
      ->capture_default_str();
  command.add_option("--kernels", arguments->variants, "how each network is computed")
      ->delimiter(',')
      ->capture_default_str();
  command.add_option("--dtype", arguments->dtype)->check(CLI::IsMember({"float32", "bfloat16"}))->capture_default_str();
  command.add_option("--routing", arguments->routing, "how tokens fall on experts")
      ->check(CLI::IsMember({"balanced", "skewed", "one"}))
      ->capture_default_str();
  command.add_option("--threads", arguments->num_threads, "default: all cores")->check(CLI::Range(1, 1024));
  command.add_option("--seconds", arguments->seconds, "time for each number of tokens")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command.add_option("--min-rounds", arguments->min_rounds, "turns of every network, however long they take")
      ->check(CLI::Range(int64_t{3}, int64_t{100000}))
      ->capture_default_str();
  command.add_flag("--json", arguments->as_json, "for programs");
  return [arguments] { return latency(*arguments); };
}

}  // namespace moebench
