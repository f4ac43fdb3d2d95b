// Is a layer's feed-forward network faster than the dense one, router included, on inputs that it really sees? By the
// fused kernel, against the fastest dense kernel of this machine, in turns over all layers of the model.
//
//   kernel_latency/<dtype>/tokens-16/time_over_dense  median of paired ratios; /low and /high, its 95 % interval
//   kernel_latency/<dtype>/tokens-16/dense_over_dense the same of two arms that are the same, what noise does
//   kernel_latency/<dtype>/tokens-16/converted/p50    seconds of a call; /p10, /p90, /p99; and of /dense
//   kernel_latency/<dtype>/tokens-16/converted/ceiling_share  of the nearer of these two, at p50; and of /dense
//   kernel_latency/<dtype>/ceiling/read               bytes a second; /ceiling/flops; both measured just before
//   kernel_latency/<dtype>/tokens-16/experts_hit      of a layer, mean
//   kernel_latency/<dtype>/break_even_tokens          from so many tokens on (of those measured) every verdict is
//   FASTER
//
// A dense model has its own times only; a bound (an oracle router, a token's top neurons) has none, for no kernel
// computes it. Times are this machine's: compare within one database's machine class.
#include <algorithm>
#include <charconv>
#include <stdexcept>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "harness/latency/model_stacks.h"
#include "harness/task.h"
#include "kernels/cpu/instruction_set.h"
#include "kernels/timing/ffn_latency.h"
#include "tasks/latency_text.h"
#include "tasks/window_plan.h"

namespace moebench {
namespace {

struct KernelLatencyOptions : LatencyTextOptions {
  std::string tokens = "1,4,16,64,256,1024";
  int64_t window = 2048;
  void for_each(auto&& visit) {
    LatencyTextOptions::for_each(visit);
    visit("tokens", tokens, "tokens in a call, several with commas between");
    visit("window", window, "tokens of the text that calls take theirs from");
  }
};

// Throws std::invalid_argument for one that is not a number from 1 to most.
std::vector<int64_t> parse_token_counts(const std::string& text, int64_t most) {
  std::vector<int64_t> counts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    int64_t count = 0;
    const auto [rest, error] = std::from_chars(text.data() + begin, text.data() + end, count);
    if (error != std::errc() || rest != text.data() + end || count < 1 || count > most) {
      throw std::invalid_argument(fmt::format("kernel_latency.tokens: '{}' is not a number from 1 to the window's {}",
                                              text.substr(begin, end - begin), most));
    }
    counts.push_back(count);
    begin = end + 1;
  }
  return counts;
}

class KernelLatency : public Task {
 public:
  explicit KernelLatency(KernelLatencyOptions options) : options_(std::move(options)) {
    check_latency_options("kernel_latency", options_);
    check_window_options("kernel_latency", options_.window, /*max_windows=*/1);
    token_counts_ = parse_token_counts(options_.tokens, options_.window);
  }

  std::string data_hash() const override { return read_named_corpus(options_.text).content_hash; }

  bool measures_time() const override { return true; }

  Measurement measure(TaskContext& context) const override {
    if (has_bound(context.model)) return {};
    const ModelStacks stacks =
        model_stacks(context.model, first_tokens(context, "kernel_latency", options_.text, options_.window));
    const kernels::LatencyOptions latency{.num_tokens = token_counts_,
                                          .num_threads = at::get_num_threads(),
                                          .limits = timing_limits(options_),
                                          .progress = [&](double done) {
                                            if (context.progress) context.progress(done, 1);
                                          }};
    const bool is_float = context.model.precision().dtype == at::kFloat;
    const kernels::Dtype dtype = is_float ? kernels::Dtype::kFloat32 : kernels::Dtype::kBFloat16;
    const std::string prefix = is_float ? "kernel_latency/float32" : "kernel_latency/bfloat16";
    const kernels::Ceilings ceilings =
        kernels::measure_ceilings(*kernels::chosen_instruction_set(), at::get_num_threads());
    Measurement measurement;
    measurement.metrics.push_back({prefix + "/ceiling/read", "B/s", ceilings.read_bytes_per_second});
    measurement.metrics.push_back({prefix + "/ceiling/flops", "1/s", ceilings.flops(dtype)});
    const std::vector<kernels::LatencyRow> rows = kernels::measure_ffn_latency(stacks.stacks, latency);
    for (const kernels::LatencyRow& row : rows) {
      const std::string name = fmt::format("{}/tokens-{}", prefix, row.num_tokens);
      if (row.is_best_dense) add_times(name + "/dense", row, ceilings, dtype, measurement.metrics);
      if (row.network == "dense" || row.variant != "fused") continue;
      add_times(name + "/converted", row, ceilings, dtype, measurement.metrics);
      const auto rounds = static_cast<int64_t>(row.seconds.size());
      add_ratio(name + "/time_over_dense", row.ratio, rounds, Direction::kLowerIsBetter, measurement.metrics);
      add_ratio(name + "/dense_over_dense", row.same, rounds, Direction::kNeither, measurement.metrics);
      measurement.metrics.push_back({name + "/experts_hit", "experts", row.experts_hit, Direction::kNeither});
    }
    if (const int64_t tokens = kernels::break_even_tokens(rows, "converted", "fused"); tokens > 0) {
      measurement.metrics.push_back(
          {prefix + "/break_even_tokens", "tokens", static_cast<double>(tokens), Direction::kLowerIsBetter});
    }
    return measurement;
  }

 private:
  static void add_times(const std::string& name, const kernels::LatencyRow& row, const kernels::Ceilings& ceilings,
                        kernels::Dtype dtype, std::vector<Metric>& metrics) {
    const auto rounds = static_cast<int64_t>(row.seconds.size());
    for (const auto& [percentile, q] : {std::pair("p10", 0.1), {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}}) {
      metrics.push_back({fmt::format("{}/{}", name, percentile), "s", kernels::quantile(row.seconds, q),
                         Direction::kLowerIsBetter, rounds});
    }
    metrics.push_back({name + "/ceiling_share", "", ceiling_share(row, ceilings, dtype), Direction::kNeither, rounds});
  }

  KernelLatencyOptions options_;
  std::vector<int64_t> token_counts_;
};

const Registration<Task, KernelLatency, KernelLatencyOptions> registration(
    "kernel_latency", "time of a layer's feed-forward network over the best dense one's, by number of tokens");

}  // namespace
}  // namespace moebench
