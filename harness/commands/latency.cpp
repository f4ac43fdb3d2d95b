// latency: is a mixture's feed-forward network faster than the dense one, from how many tokens on, and what of it
// arrives?
#include <algorithm>
#include <memory>

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "harness/atomic_file.h"
#include "harness/commands/commands.h"
#include "harness/commands/data_folder.h"
#include "harness/commands/latency_figure.h"
#include "harness/commands/model_arguments.h"
#include "harness/commands/terminal_progress.h"
#include "harness/interrupt.h"
#include "harness/latency/end_to_end.h"
#include "harness/latency/model_stacks.h"
#include "harness/text/corpus.h"
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

struct LatencyArguments {
  ModelArguments model;
  std::string data_folder;
  std::string text = "wiki-passages-test";
  std::string shape;  // instead of a model
  int64_t num_experts = 8;
  std::vector<double> active_ratios = {0.25, 0.5, 0.75};
  std::vector<int64_t> num_tokens = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024};
  std::vector<std::string> variants = {"library", "fused"};
  std::string routing = "balanced";
  int64_t prefill = 512, decode = 32;
  double seconds = 2;
  int64_t min_rounds = 15;
  bool as_json = false;
  std::string figure_path;
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

Networks random_networks(const LatencyArguments& arguments) {
  const kernels::FfnShape& shape = kernels::ffn_shape(arguments.shape);
  const Dtype dtype = kernel_dtype(arguments.model.dtype);
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
    LayerStack stack{.name = fmt::format("S0A{}E{}", top_k, arguments.num_experts)};
    for (const RandomFfn* mixture : mixtures) stack.layers.push_back(mixture->network(top_k));
    networks.stacks.push_back(std::move(stack));
  }
  return networks;
}

double gigabytes_per_second(const LatencyRow& row) { return row.bytes / kernels::quantile(row.seconds, 0.5) / 1e9; }
double gigaflops(const LatencyRow& row) { return row.flops / kernels::quantile(row.seconds, 0.5) / 1e9; }

void print_table(const std::vector<LatencyRow>& rows, const Ceilings& ceilings, Dtype dtype) {
  fmt::print("{:>6}  {:<9} {:>6} {:<8} {:>10} {:>10} {:>10}  {:<22} {:<17} {:>7} {:>8} {:>5} {:>5} {:>5}\n", "tokens",
             "network", "active", "kernel", "p10 us", "p50 us", "p90 us", "time / best dense", "verdict", "GB/s",
             "GFLOP/s", "ceil.", "hit", "load");
  for (const LatencyRow& row : rows) {
    const auto microseconds = [&](double q) { return 1e6 * kernels::quantile(row.seconds, q); };
    const std::string verdict = row.is_best_dense ? "the best dense" : kernels::name_of(row.verdict);
    fmt::print(
        "{:>6}  {:<9} {:>5.0f}% {:<8} {:>10.1f} {:>10.1f} {:>10.1f}  {:<22} {:<17} {:>7.1f} {:>8.1f} {:>4.0f}% "
        "{:>5.1f} "
        "{:>5.2f}\n",
        row.num_tokens, row.network, 100 * row.active_ratio, row.variant, microseconds(0.1), microseconds(0.5),
        microseconds(0.9), fmt::format("{:.3f} ({:.3f} to {:.3f})", row.ratio.median, row.ratio.low, row.ratio.high),
        verdict, gigabytes_per_second(row), gigaflops(row), 100 * ceiling_share(row, ceilings, dtype), row.experts_hit,
        row.load);
  }
}

void print_break_even(const std::vector<LatencyRow>& rows) {
  std::string told;
  for (const LatencyRow& row : rows) {
    if (row.network == "dense" || row.variant != "fused" || told.find(row.network) != std::string::npos) continue;
    const int64_t tokens = kernels::break_even_tokens(rows, row.network, row.variant);
    told += fmt::format("{}{} {}", told.empty() ? "faster than dense for good from: " : "; ", row.network,
                        tokens > 0 ? fmt::format("{} tokens", tokens) : "never");
  }
  if (!told.empty()) fmt::print("{}\n", told);
}

nlohmann::ordered_json ratio_json(const kernels::PairedRatio& ratio) {
  return {{"median", ratio.median}, {"low", ratio.low}, {"high", ratio.high}};
}

nlohmann::ordered_json row_json(const LatencyRow& row, const Ceilings& ceilings, Dtype dtype) {
  nlohmann::ordered_json microseconds;
  for (const auto& [name, q] : {std::pair("min", 0.0), {"p10", 0.1}, {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}) {
    microseconds[name] = 1e6 * kernels::quantile(row.seconds, q);
  }
  return {{"tokens", row.num_tokens},
          {"network", row.network},
          {"active_ratio", row.active_ratio},
          {"kernel", row.variant},
          {"rounds", row.seconds.size()},
          {"microseconds", microseconds},
          {"time_over_best_dense", ratio_json(row.ratio)},
          {"best_dense_over_itself", ratio_json(row.same)},
          {"is_best_dense", row.is_best_dense},
          {"verdict", row.is_best_dense ? "" : kernels::name_of(row.verdict)},
          {"gigabytes_per_second", gigabytes_per_second(row)},
          {"gigaflops", gigaflops(row)},
          {"share_of_ceiling", ceiling_share(row, ceilings, dtype)},
          {"experts_hit", row.experts_hit},
          {"max_over_mean_load", row.load}};
}

// What was measured, with what it was measured on.
struct Report {
  std::vector<LatencyRow> rows;
  std::vector<PhaseLatency> phases;                         // of a model
  double feed_forward_share = 0, least_decoding_ratio = 1;  // of a model
  Ceilings ceilings;
};

class Measurer {
 public:
  explicit Measurer(const LatencyArguments& arguments) : arguments_(arguments) {
    if (instruction_set_ == nullptr) throw std::runtime_error("latency needs a processor with AVX2");
  }

  Report measure() {
    if (arguments_.shape.empty()) return measure_model();
    const Networks networks = random_networks(arguments_);
    Report report{.ceilings = kernels::measure_ceilings(*instruction_set_, num_threads_)};
    report.rows = measure_networks(networks.stacks);
    return report;
  }

  int num_threads() const { return num_threads_; }
  const char* instruction_set() const { return instruction_set_->name; }
  Dtype dtype() const { return kernel_dtype(arguments_.model.dtype); }

 private:
  kernels::TimingLimits limits() const { return {.min_rounds = arguments_.min_rounds, .seconds = arguments_.seconds}; }

  std::vector<LatencyRow> measure_networks(const std::vector<LayerStack>& stacks) {
    progress_.start("kernels", "kernels");
    const kernels::LatencyOptions options{.num_tokens = arguments_.num_tokens,
                                          .variants = arguments_.variants,
                                          .num_threads = num_threads_,
                                          .limits = limits(),
                                          .progress = [this](double done) {
                                            throw_if_interrupted();
                                            progress_.update(done);
                                          }};
    std::vector<LatencyRow> rows = kernels::measure_ffn_latency(stacks, options);
    progress_.finish();
    return rows;
  }

  Report measure_model() {
    const LoadedModel loaded = load_model(arguments_.model);
    const int64_t window = std::min<int64_t>(2048, loaded.model.config().max_position_embeddings);
    const at::Tensor stream = token_stream(read_named_corpus(arguments_.text), *loaded.tokenizer);
    const at::Tensor ids = stream.narrow(0, 0, std::min(window, stream.size(0)));
    if (ids.size(0) < arguments_.prefill + arguments_.decode) {
      throw std::invalid_argument(fmt::format("--prefill {} and --decode {}: {} gives {} tokens", arguments_.prefill,
                                              arguments_.decode, arguments_.text, ids.size(0)));
    }
    Report report{.feed_forward_share = feed_forward_share(loaded.model.config()),
                  .ceilings = kernels::measure_ceilings(*instruction_set_, num_threads_)};
    report.rows = measure_networks(model_stacks(loaded.model, ids).stacks);
    // The last row is of the last stack, the converted one.
    report.least_decoding_ratio = least_decoding_ratio(loaded.model.config(), report.rows.back().active_ratio);
    progress_.start("whole model", "whole model");
    report.phases = measure_end_to_end(loaded.model, ids,
                                       {.prefill_tokens = arguments_.prefill,
                                        .decode_tokens = arguments_.decode,
                                        .limits = limits(),
                                        .progress = [this](double done) {
                                          throw_if_interrupted();
                                          progress_.update(done);
                                        }});
    progress_.finish();
    return report;
  }

  const LatencyArguments& arguments_;
  const kernels::InstructionSet* instruction_set_ = kernels::chosen_instruction_set();
  int num_threads_ = at::get_num_threads();
  SweepProgress progress_ = terminal_progress();
};

void print_phases(const Report& report) {
  fmt::print("\n{:<12} {:>16} {:>20}  {:<22} {}\n", "whole model", "dense tokens/s", "converted tokens/s",
             "time / dense", "verdict");
  for (const PhaseLatency& phase : report.phases) {
    const auto rate = [&](const std::vector<double>& seconds) {
      return seconds.empty()
                 ? std::string()
                 : fmt::format("{:.1f}", static_cast<double>(phase.tokens) / kernels::quantile(seconds, 0.5));
    };
    const bool is_converted = !phase.converted_seconds.empty();
    fmt::print("{:<12} {:>16} {:>20}  {:<22} {}\n", fmt::format("{}({})", phase.phase, phase.tokens),
               rate(phase.dense_seconds), rate(phase.converted_seconds),
               is_converted
                   ? fmt::format("{:.3f} ({:.3f} to {:.3f})", phase.ratio.median, phase.ratio.low, phase.ratio.high)
                   : "",
               is_converted ? kernels::name_of(phase.verdict) : "");
  }
  fmt::print("feed-forward networks are {:.0f} % of what a token reads", 100 * report.feed_forward_share);
  const bool is_converted = !report.phases.empty() && !report.phases[0].converted_seconds.empty();
  if (is_converted) fmt::print("; decoding cannot take less than {:.3f} of dense's time", report.least_decoding_ratio);
  fmt::print("\n");
}

nlohmann::ordered_json phase_json(const PhaseLatency& phase) {
  nlohmann::ordered_json json = {
      {"phase", phase.phase},
      {"tokens", phase.tokens},
      {"rounds", phase.dense_seconds.size()},
      {"dense_tokens_per_second", static_cast<double>(phase.tokens) / kernels::quantile(phase.dense_seconds, 0.5)}};
  if (phase.converted_seconds.empty()) return json;
  json["converted_tokens_per_second"] =
      static_cast<double>(phase.tokens) / kernels::quantile(phase.converted_seconds, 0.5);
  json["time_over_dense"] = ratio_json(phase.ratio);
  json["dense_over_dense"] = ratio_json(phase.same);
  json["verdict"] = kernels::name_of(phase.verdict);
  return json;
}

void print_json(const LatencyArguments& arguments, const Measurer& measurer, const Report& report) {
  nlohmann::ordered_json json;
  if (arguments.shape.empty()) {
    json["model"] = arguments.model.model;
    json["conversion"] = arguments.model.conversion;
    json["text"] = arguments.text;
  } else {
    json["shape"] = arguments.shape;
    json["experts"] = arguments.num_experts;
    json["routing"] = arguments.routing;
  }
  json["dtype"] = arguments.model.dtype;
  json["instruction_set"] = measurer.instruction_set();
  json["threads"] = measurer.num_threads();
  json["ceilings"] = {{"read_gigabytes_per_second", report.ceilings.read_bytes_per_second / 1e9},
                      {"gigaflops", report.ceilings.flops(measurer.dtype()) / 1e9}};
  for (const LatencyRow& row : report.rows) {
    json["rows"].push_back(row_json(row, report.ceilings, measurer.dtype()));
  }
  for (const PhaseLatency& phase : report.phases) json["whole_model"].push_back(phase_json(phase));
  if (!report.phases.empty()) {
    json["feed_forward_share"] = report.feed_forward_share;
    json["least_decoding_ratio"] = report.least_decoding_ratio;
  }
  fmt::print("{}\n", json.dump(1));
}

int latency(const LatencyArguments& arguments) {
  if (arguments.shape.empty() == arguments.model.model.empty()) {
    throw std::invalid_argument("latency wants either --model or --shape");
  }
  use_data_folder(arguments.data_folder);
  Measurer measurer(arguments);
  const Report report = measurer.measure();
  const std::string subject = arguments.shape.empty() ? arguments.model.model : arguments.shape;
  if (!arguments.figure_path.empty()) {
    const std::string title = fmt::format("{}, {}, {}, {} threads: feed-forward time over the best dense", subject,
                                          arguments.model.dtype, measurer.instruction_set(), measurer.num_threads());
    AtomicFile file(arguments.figure_path);
    file.write(latency_figure(report.rows, "fused", title));
    file.commit();
  }
  if (arguments.as_json) {
    print_json(arguments, measurer, report);
    return 0;
  }
  fmt::print("{}, {}, {}, {} threads; ceilings: {:.1f} GB/s read, {:.0f} GFLOP/s\n", subject, arguments.model.dtype,
             measurer.instruction_set(), measurer.num_threads(), report.ceilings.read_bytes_per_second / 1e9,
             report.ceilings.flops(measurer.dtype()) / 1e9);
  print_table(report.rows, report.ceilings, measurer.dtype());
  print_break_even(report.rows);
  if (!report.phases.empty()) print_phases(report);
  return 0;
}

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  for (const kernels::FfnShape& shape : kernels::known_ffn_shapes()) names.push_back(shape.name);
  return names;
}

}  // namespace

std::function<int()> define_latency(CLI::App& command) {
  auto arguments = std::make_shared<LatencyArguments>();
  add_model_option(command, arguments->model);
  command.get_option("--model")->required(false);
  add_conversion_options(command, arguments->model);
  add_precision_options(command, arguments->model);
  command.add_option("--text", arguments->text, "whose tokens the model sees")->capture_default_str();
  add_data_option(command, arguments->data_folder);
  command.add_option("--prefill", arguments->prefill, "tokens at once, of the whole model")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command.add_option("--decode", arguments->decode, "tokens one by one behind them")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20))
      ->capture_default_str();
  command.add_option("--shape", arguments->shape, "instead of a model: random weights of a published model's shape")
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
  command.add_option("--routing", arguments->routing, "how tokens fall on experts")
      ->check(CLI::IsMember({"balanced", "skewed", "one"}))
      ->capture_default_str();
  command.add_option("--seconds", arguments->seconds, "time for each number of tokens")
      ->check(CLI::Range(0.0, 3600.0))
      ->capture_default_str();
  command.add_option("--min-rounds", arguments->min_rounds, "turns of every network, however long they take")
      ->check(CLI::Range(int64_t{3}, int64_t{100000}))
      ->capture_default_str();
  command.add_option("--figure", arguments->figure_path, "also draw ratios against tokens, as SVG")->type_name("FILE");
  command.add_flag("--json", arguments->as_json, "for programs");
  return [arguments] { return latency(*arguments); };
}

}  // namespace moebench
