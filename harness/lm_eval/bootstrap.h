// lm-eval's bootstrap, draw for draw.
#pragma once

#include <cstdint>
#include <span>

#include "harness/lm_eval/metrics.h"

namespace moebench {

// The sample standard deviation of the statistic over resamples of the documents. Chunk i of min(1000, iterations)
// resamples draws from Python's random.Random(i).choices, so the number is lm-eval's; iterations beyond the last whole
// chunk are dropped, as there. Chunks run on all cores; the result does not depend on how many there are.
// values: two at least; iterations: two at least (of one lm-eval divides by zero; here it is NaN).
double bootstrap_standard_error(Aggregation aggregation, std::span<const DocumentValue> values, int64_t iterations);

}  // namespace moebench
