// What of a kernel's gain arrives: the whole model against its dense parent, in turns, prefill and decode apart.
//
//   end_to_end/<dtype>/prefill-512/time_over_dense   median of paired ratios; /low and /high, its 95 % interval
//   end_to_end/<dtype>/prefill-512/dense_over_dense  the same of two arms that are the same, what noise does
//   end_to_end/<dtype>/prefill-512/tokens_per_second of this model; of a dense one, too
//   end_to_end/<dtype>/decode-32/…                   one token after another, behind the prefilled context
//   end_to_end/<dtype>/decode-32/bound               Amdahl's: the least that decoding can take of dense's time
//
// A dense model has its own speed only; a bound (an oracle router, a token's top neurons) has none.
#include <fmt/format.h>

#include "harness/latency/end_to_end.h"
#include "harness/latency/model_stacks.h"
#include "harness/task.h"
#include "tasks/feed_forward_counts.h"
#include "tasks/latency_text.h"

namespace moebench {
namespace {

struct EndToEndTaskOptions : LatencyTextOptions {
  int64_t prefill = 512;
  int64_t decode = 32;
  void for_each(auto&& visit) {
    LatencyTextOptions::for_each(visit);
    visit("prefill", prefill, "tokens at once");
    visit("decode", decode, "tokens one by one");
  }
};

class EndToEnd : public Task {
 public:
  explicit EndToEnd(EndToEndTaskOptions options) : options_(std::move(options)) {
    check_latency_options("end_to_end", options_);
    for (const auto& [tokens, name] : {std::pair(options_.prefill, "prefill"), std::pair(options_.decode, "decode")}) {
      if (tokens >= 1 && tokens <= (1 << 20)) continue;
      throw std::invalid_argument(fmt::format("end_to_end.{} = {}: from 1 to {}", name, tokens, 1 << 20));
    }
  }

  std::string data_hash() const override { return read_named_corpus(options_.text).content_hash; }

  bool measures_time() const override { return true; }

  Measurement measure(TaskContext& context) const override {
    if (has_bound(context.model)) return {};
    const at::Tensor ids = first_tokens(context, "end_to_end", options_.text, options_.prefill + options_.decode);
    const EndToEndOptions latency{.prefill_tokens = options_.prefill,
                                  .decode_tokens = options_.decode,
                                  .limits = timing_limits(options_),
                                  .progress = [&](double done) {
                                    if (context.progress) context.progress(done, 1);
                                  }};
    const std::string dtype = context.model.precision().dtype == at::kFloat ? "float32" : "bfloat16";
    Measurement measurement;
    for (const PhaseLatency& phase : measure_end_to_end(context.model, ids, latency)) {
      const std::string name = fmt::format("end_to_end/{}/{}-{}", dtype, phase.phase, phase.tokens);
      const bool is_converted = !phase.converted_seconds.empty();
      const std::vector<double>& seconds = is_converted ? phase.converted_seconds : phase.dense_seconds;
      const auto rounds = static_cast<int64_t>(seconds.size());
      measurement.metrics.push_back({name + "/tokens_per_second", "tokens/s",
                                     static_cast<double>(phase.tokens) / kernels::quantile(seconds, 0.5),
                                     Direction::kHigherIsBetter, rounds});
      if (!is_converted) continue;
      add_ratio(name + "/time_over_dense", phase.ratio, rounds, Direction::kLowerIsBetter, measurement.metrics);
      add_ratio(name + "/dense_over_dense", phase.same, rounds, Direction::kNeither, measurement.metrics);
      if (phase.phase != "decode") continue;
      const double bound = least_decoding_ratio(context.model.config(), active_feed_forward_ratio(context));
      measurement.metrics.push_back({name + "/bound", "", bound, Direction::kNeither});
    }
    return measurement;
  }

 private:
  EndToEndTaskOptions options_;
};

const Registration<Task, EndToEnd, EndToEndTaskOptions> registration(
    "end_to_end", "time of the whole model over its dense parent's: prefill and decode");

}  // namespace
}  // namespace moebench
