// Repeated timings of then and now: is the one shifted against the other, and by how much? After Mann and Whitney 1947
// (Ann. Math. Statist. 18:50); the normal approximation with ties as Lehmann 1975, Nonparametrics, section 1.4.
#pragma once

#include <cstdint>
#include <vector>

#include "results/paired_comparison.h"

namespace moebench {

struct RankTest {
  double u = 0;        // pairs in which the candidate's value is the larger one, equal ones by half
  double p_value = 1;  // two-sided
  bool is_exact = false;
};

// Exact where no two values are equal and neither sample has more than 50; else normal, corrected for ties and for
// continuity, and 1 if all values are equal. Throws std::invalid_argument for an empty sample or a value that is no
// finite number.
RankTest mann_whitney(const std::vector<double>& base, const std::vector<double>& candidate);

struct MedianRatio {
  double ratio = 1;   // the candidate's median over the base's
  Interval interval;  // percentiles of as many resamples of both
};

// Throws std::invalid_argument for an empty sample or one with a value that is not above 0. The same seed gives the
// same interval, anywhere.
MedianRatio median_ratio(const std::vector<double>& base, const std::vector<double>& candidate, uint64_t seed,
                         int64_t num_resamples = 2000, double confidence = 0.95);

}  // namespace moebench
