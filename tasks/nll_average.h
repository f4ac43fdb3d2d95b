// Negative log-likelihood per token, over the windows of a text and over the texts of a folder.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "harness/metric.h"

namespace moebench {

struct NllAverage {
  double nll = 0;                        // nat/token
  std::optional<double> standard_error;  // none from a single window
  int64_t tokens = 0;                    // scored
};

// Total over total; the error is the linearised ratio estimator's. Windows of equal length, as GPTQ's all are, make
// these the plain mean of window means and the sample standard deviation over the root of n.
NllAverage average_over_windows(std::span<const Item> windows);

// Domains weigh as many tokens as were scored of each: total over total.
NllAverage token_weighted_average(const std::vector<NllAverage>& domains);

// Domains weigh the same.
NllAverage macro_average(const std::vector<NllAverage>& domains);

}  // namespace moebench
