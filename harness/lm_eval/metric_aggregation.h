// From documents' values to a task's number and its standard error, and from tasks to a group, as lm-eval does.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "harness/lm_eval/metrics.h"

namespace moebench {

// values is not empty. Sums run from left to right, as those of Python before 3.12: to the last bit.
double aggregate(Aggregation aggregation, std::span<const DocumentValue> values);

// Of a mean: the sample standard deviation over sqrt(n). Of perplexity, f1 and mcc: the bootstrap's (bootstrap.h).
// None ("N/A") for weighted perplexities and bits per byte, fewer than two documents or bootstrap_iterations <= 0.
std::optional<double> standard_error(Aggregation aggregation, std::span<const DocumentValue> values,
                                     int64_t bootstrap_iterations = 100000);

// A task's number in its group's.
struct GroupMember {
  double value = 0;
  std::optional<double> standard_error;
  int64_t num_documents = 0;
};

struct GroupValue {
  double value = 0;
  std::optional<double> standard_error;  // of any member's none: none
};

// The mean weighted by the documents (else plain), and the error that belongs to it: sqrt(sum (n_i - 1) se_i^2 n_i /
// (sum n_i - k) / sum n_i), or sqrt(sum se_i^2) / k of the plain mean. members is not empty.
GroupValue aggregate_group(std::span<const GroupMember> members, bool weight_by_size);

}  // namespace moebench
