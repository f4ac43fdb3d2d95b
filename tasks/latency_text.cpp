#include "tasks/latency_text.h"

#include <stdexcept>

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace moebench {

void check_latency_options(const std::string& task, const LatencyTextOptions& options) {
  if (!(options.seconds >= 0 && options.seconds <= 3600)) {
    throw std::invalid_argument(fmt::format("{}.seconds = {}: from 0 to 3600", task, options.seconds));
  }
  if (options.min_rounds < 3 || options.min_rounds > 100000) {
    throw std::invalid_argument(fmt::format("{}.min_rounds = {}: from 3 to 100000", task, options.min_rounds));
  }
}

kernels::TimingLimits timing_limits(const LatencyTextOptions& options) {
  return {.min_rounds = options.min_rounds, .seconds = options.seconds};
}

at::Tensor first_tokens(const TaskContext& context, const std::string& task, const std::string& text,
                        int64_t num_tokens) {
  const at::Tensor stream = token_stream(read_named_corpus(text), context.tokenizer);
  const int64_t positions = context.model.config().max_position_embeddings;
  if (num_tokens > positions || num_tokens > stream.numel()) {
    throw std::invalid_argument(
        fmt::format("{}: {} tokens are asked for; the model has {} positions and {} has {} tokens", task, num_tokens,
                    positions, text, stream.numel()));
  }
  return stream.narrow(0, 0, num_tokens);
}

void add_ratio(const std::string& name, const kernels::PairedRatio& ratio, int64_t rounds, Direction direction,
               std::vector<Metric>& metrics) {
  metrics.push_back({name, "", ratio.median, direction, rounds});
  metrics.push_back({name + "/low", "", ratio.low, Direction::kNeither, rounds});
  metrics.push_back({name + "/high", "", ratio.high, Direction::kNeither, rounds});
}

}  // namespace moebench
