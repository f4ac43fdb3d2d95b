#include "harness/scoring/logit_rows.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include <ATen/Parallel.h>

// One pass of exponentials over the vocabulary a token costs as much as a layer, so the loops below are written for the
// compiler to vectorise, once for each generation of processors.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__)
#define MOEBENCH_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define MOEBENCH_VECTORISED
#endif

namespace moebench {
namespace {

constexpr int64_t kLanes = 16;

// exp(x) for x <= 0 to 1e-7 relative: 2^n from the exponent bits, times a Taylor polynomial of the remainder, which is
// at most ln(2) / 2. Below -87 the result would be subnormal and does not matter; not a number stays so.
inline float exp_of_negative(float x) {
  constexpr float kRounder = 12582912;  // 1.5 * 2^23: adding it leaves an integer in the low bits
  x = x < -87 ? -87 : x;
  const float shifted = x * 1.44269504f + kRounder;
  const float n = shifted - kRounder;
  const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;  // ln(2) in two parts, the first exact when scaled
  float power = 1.0f / 5040;
  power = power * r + 1.0f / 720;
  power = power * r + 1.0f / 120;
  power = power * r + 1.0f / 24;
  power = power * r + 1.0f / 6;
  power = power * r + 0.5f;
  power = power * r + 1;
  power = power * r + 1;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(power) + (std::bit_cast<uint32_t>(shifted) << 23));
}

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
