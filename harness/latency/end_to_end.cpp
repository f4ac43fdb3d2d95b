#include "harness/latency/end_to_end.h"

#include <algorithm>
#include <stdexcept>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include "harness/latency/model_stacks.h"
#include "harness/model/moe_layer.h"
#include "harness/model/parameter_count.h"

namespace moebench {
namespace {

using Arm = std::function<void(const LlamaModel&)>;

PhaseLatency time_phase(const std::string& phase, int64_t tokens, const LlamaModel& model, const LlamaModel& dense,
                        bool is_converted, const EndToEndOptions& options, const std::function<void()>& between,
                        const Arm& run) {
  std::vector<kernels::TimedArm> arms = {{"dense", [&](int64_t) { run(dense); }},
                                         {"dense again", [&](int64_t) { run(dense); }}};
  if (is_converted) arms.push_back({"converted", [&](int64_t) { run(model); }});
  const auto seconds = kernels::time_in_turns(arms, options.limits, between);
  PhaseLatency latency{.phase = phase, .tokens = tokens, .dense_seconds = seconds[0]};
  latency.same = kernels::paired_ratio(seconds[1], seconds[0]);
  if (!is_converted) return latency;
  latency.converted_seconds = seconds[2];
  latency.ratio = kernels::paired_ratio(seconds[2], seconds[0]);
  latency.verdict = kernels::judge(latency.ratio, latency.same);
  return latency;
}

}  // namespace

std::vector<PhaseLatency> measure_end_to_end(const LlamaModel& model, const at::Tensor& ids,
                                             const EndToEndOptions& options) {
  const c10::InferenceMode inference;
  const int64_t context = options.prefill_tokens;
  if (ids.size(0) < context + options.decode_tokens) {
    throw std::invalid_argument(fmt::format("end to end: {} tokens to prefill and {} to decode, but the text has {}",
                                            context, options.decode_tokens, ids.size(0)));
  }
  const LlamaModel dense = with_dense_feed_forward(model);
  const bool is_converted = std::any_of(model.layers().begin(), model.layers().end(), [](const LlamaLayer& layer) {
    return dynamic_cast<const MoeLayer*>(&layer.feed_forward()) != nullptr;
  });
  const at::Tensor prompt = ids.narrow(0, 0, context).unsqueeze(0);
  const auto between = [&](double done) {
    return [&options, done] {
      if (options.progress) options.progress(done);
    };
  };
  std::vector<PhaseLatency> phases;
  phases.push_back(time_phase("prefill", context, model, dense, is_converted, options, between(0),
                              [&](const LlamaModel& timed) { timed.logits(timed.forward(prompt).select(1, -1)); }));

  // Contexts are computed once; decoding rewinds them.
  KvCache dense_cache(dense.config().num_layers), converted_cache(model.config().num_layers);
  dense.forward(prompt, &dense_cache);
  if (is_converted) model.forward(prompt, &converted_cache);
  phases.push_back(time_phase("decode", options.decode_tokens, model, dense, is_converted, options, between(0.5),
                              [&](const LlamaModel& timed) {
                                KvCache& cache = &timed == &dense ? dense_cache : converted_cache;
                                for (int64_t token = 0; token < options.decode_tokens; ++token) {
                                  const at::Tensor id = ids.narrow(0, context + token, 1).unsqueeze(0);
                                  timed.logits(timed.forward(id, &cache).select(1, -1));
                                }
                                cache.truncate(context);
                              }));
  return phases;
}

double feed_forward_share(const LlamaConfig& config) {
  const auto feed_forward = static_cast<double>(config.num_layers * dense_feed_forward_counts(config).stored());
  const auto head = static_cast<double>(config.vocab_size * config.hidden_size);
  return feed_forward / (feed_forward + static_cast<double>(attention_and_norm_parameters(config)) + head);
}

double least_decoding_ratio(const LlamaConfig& config, double active_ratio) {
  return 1 - feed_forward_share(config) * (1 - active_ratio);
}

}  // namespace moebench
