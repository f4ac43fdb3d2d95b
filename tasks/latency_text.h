// The text whose tokens are timed: options that both latency tasks have.
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "harness/task.h"
#include "kernels/timing/turns.h"

namespace moebench {

struct LatencyTextOptions {
  std::string text = "wiki-passages-test";
  double seconds = 2;
  int64_t min_rounds = 15;
  void for_each(auto&& visit) {
    visit("text", text, "whose tokens are timed: a file, or the name of a known text");
    visit("seconds", seconds, "for each number of tokens or phase; a longer time narrows the interval");
    visit("min_rounds", min_rounds, "turns of every arm, however long they take");
  }
};

// Throws std::invalid_argument naming task and option.
void check_latency_options(const std::string& task, const LatencyTextOptions& options);

kernels::TimingLimits timing_limits(const LatencyTextOptions& options);

// The text's first num_tokens ids, [num_tokens]. Throws std::invalid_argument if it has fewer or the model has fewer
// positions.
at::Tensor first_tokens(const TaskContext& context, const std::string& task, const std::string& text,
                        int64_t num_tokens);

// name, name/low, name/high: the median of paired ratios and its interval.
void add_ratio(const std::string& name, const kernels::PairedRatio& ratio, int64_t rounds, Direction direction,
               std::vector<Metric>& metrics);

}  // namespace moebench
