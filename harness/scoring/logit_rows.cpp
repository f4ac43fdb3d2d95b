#include "harness/scoring/logit_rows.h"

#include <algorithm>
#include <cmath>

#include <ATen/Parallel.h>

#include "harness/model/vectorised.h"

// One pass of exponentials over the vocabulary a token costs as much as a layer.
namespace moebench {
namespace {

MOEBENCH_VECTORISED float largest(const float* row, int64_t size) {
  float lanes[kLanes];
  std::fill(lanes, lanes + kLanes, row[0]);
  int64_t id = 0;
  for (; id + kLanes <= size; id += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = row[id + lane] > lanes[lane] ? row[id + lane] : lanes[lane];
    }
  }
  float result = *std::max_element(lanes, lanes + kLanes);
  for (; id < size; ++id) result = std::max(result, row[id]);
  return result;
}

// Summed in double: a float sum over the vocabulary is biased by 1e-5.
MOEBENCH_VECTORISED double sum_of_exponentials(const float* row, int64_t size, float offset) {
  double lanes[kLanes] = {};
  int64_t id = 0;
  for (; id + kLanes <= size; id += kLanes) {
    float terms[kLanes];
    for (int64_t lane = 0; lane < kLanes; ++lane) terms[lane] = exp_of_negative(row[id + lane] - offset);
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += terms[lane];
  }
  double result = 0;
  for (const double lane : lanes) result += lane;
  for (; id < size; ++id) result += exp_of_negative(row[id] - offset);
  return result;
}

LogitRowScore score_row(const float* row, int64_t size, int64_t target) {
  const float highest = largest(row, size);
  const double log_total = std::log(sum_of_exponentials(row, size, highest));
  return {.logprob = static_cast<double>(row[target]) - highest - log_total,
          .is_greedy = row[target] == highest && std::find(row, row + target, highest) == row + target};
}

}  // namespace

void score_logit_rows(const float* logits, int64_t num_rows, int64_t vocab_size, const int64_t* targets,
                      LogitRowScore* scores) {
  at::parallel_for(0, num_rows, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      scores[row] = score_row(logits + row * vocab_size, vocab_size, targets[row]);
    }
  });
}

}  // namespace moebench
