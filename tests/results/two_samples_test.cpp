// Expected values: worked by hand, counted by brute force, or of scipy 1.17 where it is named.
#include "results/two_samples.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include <gtest/gtest.h>

#include "results/resampling.h"

namespace moebench {
namespace {

double pairs_above(const std::vector<double>& base, const std::vector<double>& candidate) {
  double count = 0;
  for (const double b : base) {
    for (const double c : candidate) count += c > b ? 1 : c == b ? 0.5 : 0;
  }
  return count;
}

// Of all ways to choose which values are the candidate's, the share as far from half of all pairs.
double p_value_by_enumeration(const std::vector<double>& base, const std::vector<double>& candidate) {
  std::vector<double> pool = base;
  pool.insert(pool.end(), candidate.begin(), candidate.end());
  const double half = static_cast<double>(base.size() * candidate.size()) / 2;
  const double observed = std::abs(pairs_above(base, candidate) - half);
  std::vector<bool> is_candidate(pool.size(), false);
  std::fill(is_candidate.end() - static_cast<std::ptrdiff_t>(candidate.size()), is_candidate.end(), true);
  double all = 0, as_far = 0;
  do {
    std::vector<double> of_base, of_candidate;
    for (size_t place = 0; place < pool.size(); ++place) {
      (is_candidate[place] ? of_candidate : of_base).push_back(pool[place]);
    }
    ++all;
    as_far += std::abs(pairs_above(of_base, of_candidate) - half) >= observed ? 1 : 0;
  } while (std::next_permutation(is_candidate.begin(), is_candidate.end()));
  return as_far / all;
}

TEST(MannWhitneyTest, ExactPValueIsTheEnumeratedOne) {
  std::mt19937_64 random(1);
  for (size_t num_base = 1; num_base <= 5; ++num_base) {
    for (size_t num_candidate = 1; num_candidate <= 6; ++num_candidate) {
      std::vector<double> base(num_base), candidate(num_candidate);
      for (double& value : base) value = static_cast<double>(random() % 100000);
      for (double& value : candidate) value = static_cast<double>(random() % 100000) + 20000;
      const RankTest test = mann_whitney(base, candidate);
      EXPECT_TRUE(test.is_exact);
      EXPECT_EQ(test.u, pairs_above(base, candidate));
      EXPECT_NEAR(test.p_value, p_value_by_enumeration(base, candidate), 1e-12) << num_base << " " << num_candidate;
    }
  }
}

// All three of the candidate above all three of the base: one order of 20, and its mirror image.
TEST(MannWhitneyTest, SeparateSamplesOfThreeHaveTwoOrdersOfTwenty) {
  EXPECT_NEAR(mann_whitney({1, 2, 3}, {4, 5, 6}).p_value, 2.0 / 20, 1e-15);
  EXPECT_EQ(mann_whitney({1, 2, 3}, {4, 5, 6}).u, 9);
  EXPECT_EQ(mann_whitney({4, 5, 6}, {1, 2, 3}).u, 0);
}

// scipy.stats.mannwhitneyu(method="exact"); its statistic counts the first sample's pairs.
TEST(MannWhitneyTest, AgreesWithScipy) {
  const RankTest ages = mann_whitney({19, 22, 16, 29, 24}, {20, 11, 17, 12});
  EXPECT_EQ(ages.u, 20 - 17);
  EXPECT_NEAR(ages.p_value, 0.1111111111111111, 1e-14);
  const RankTest eleven = mann_whitney({1.01, 1.03, 0.99, 1.07, 1.02, 1.11, 0.97, 1.05, 1.08, 1.015, 1.045},
                                       {1.06, 1.12, 1.04, 1.10, 1.09, 1.15, 1.00, 1.13, 1.16, 1.075, 1.085});
  EXPECT_EQ(eleven.u, 121 - 22);
  EXPECT_NEAR(eleven.p_value, 0.010382290568049082, 1e-14);
}

// scipy.stats.mannwhitneyu(method="asymptotic"), with its correction for continuity.
TEST(MannWhitneyTest, EqualValuesAreCorrectedForAsScipyDoes) {
  const RankTest test = mann_whitney({1, 2, 2, 3, 5, 5, 5}, {2, 4, 5, 6, 7, 7});
  EXPECT_FALSE(test.is_exact);
  EXPECT_EQ(test.u, 42 - 9.5);
  EXPECT_NEAR(test.p_value, 0.1085283022857299, 1e-12);
}

TEST(MannWhitneyTest, EqualSamplesShowNothing) {
  EXPECT_EQ(mann_whitney({2, 2, 2}, {2, 2, 2}).p_value, 1);
  EXPECT_EQ(mann_whitney({1, 2, 3}, {1, 2, 3}).p_value, 1);
}

TEST(MannWhitneyTest, LargeSamplesMeetTheNormalApproximation) {
  std::vector<double> base, candidate;
  for (int value = 0; value < 50; ++value) {
    base.push_back(value);
    candidate.push_back(value + 7.5);
  }
  const double exact = mann_whitney(base, candidate).p_value;
  base.push_back(50);  // one more than is computed exactly
  candidate.push_back(57.5);
  const RankTest approximate = mann_whitney(base, candidate);
  EXPECT_FALSE(approximate.is_exact);
  EXPECT_NEAR(approximate.p_value, exact, 0.1 * exact);
}

TEST(MannWhitneyTest, RefusesWhatHasNoRank) {
  EXPECT_THROW(mann_whitney({}, {1}), std::invalid_argument);
  EXPECT_THROW(mann_whitney({1}, {std::nan("")}), std::invalid_argument);
}

TEST(MedianRatioTest, IsTheCandidatesMedianOverTheBases) {
  EXPECT_NEAR(median_ratio({1, 2, 9}, {3, 2.1, 2.2, 1.0}, 0).ratio, 2.15 / 2, 1e-15);
}

TEST(MedianRatioTest, ConstantSamplesHaveNoInterval) {
  const MedianRatio ratio = median_ratio({2, 2, 2}, {3, 3}, 0);
  EXPECT_EQ(ratio.ratio, 1.5);
  EXPECT_EQ(ratio.interval.low, 1.5);
  EXPECT_EQ(ratio.interval.high, 1.5);
}

// Of normal samples around 1 and 1.2: the interval holds 1.2 in about 95 of 100.
TEST(MedianRatioTest, IntervalCoversTheTruth) {
  std::mt19937_64 random(3);
  std::normal_distribution<double> noise(0, 0.05);
  int covered = 0;
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<double> base(15), candidate(15);
    for (double& value : base) value = 1 + noise(random);
    for (double& value : candidate) value = 1.2 * (1 + noise(random));
    const Interval interval = median_ratio(base, candidate, 0, 500).interval;
    covered += interval.low <= 1.2 && 1.2 <= interval.high;
  }
  EXPECT_GE(covered, 300 * 0.92);
}

TEST(MedianRatioTest, RefusesWhatHasNoRatio) {
  EXPECT_THROW(median_ratio({1, 0}, {1}, 0), std::invalid_argument);
  EXPECT_THROW(median_ratio({1}, {}, 0), std::invalid_argument);
}

TEST(ResamplingTest, MedianOfAnEvenNumberIsBetweenTheMiddleTwo) {
  EXPECT_EQ(median({4, 1, 3, 2}), 2.5);
  EXPECT_EQ(median({5, 1, 3}), 3);
  EXPECT_EQ(median({7}), 7);
}

TEST(ResamplingTest, EveryOrderOfThreeIsAsLikely) {
  std::mt19937_64 random(5);
  std::map<std::vector<double>, int> seen;
  for (int trial = 0; trial < 6000; ++trial) {
    std::vector<double> values = {1, 2, 3};
    shuffle(values, random);
    ++seen[values];
  }
  ASSERT_EQ(seen.size(), 6u);
  for (const auto& [order, count] : seen) EXPECT_NEAR(count, 1000, 120);  // four standard deviations
}

}  // namespace
}  // namespace moebench
