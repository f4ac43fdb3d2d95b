// Expected values: worked by hand, or of scipy 1.17 where it is named.
#include "results/paired_comparison.h"

#include <cmath>
#include <cstddef>
#include <random>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

// Differences 1 0 0 -1 1 1 0 1 0 0.
PairedScores ten_items() {
  return {.base = {0, 1, 0, 1, 0, 0, 1, 0, 1, 1}, .candidate = {1, 1, 0, 0, 1, 1, 1, 1, 1, 1}, .clusters = {}};
}

// b items that were fixed, c that broke, and ten that stayed.
PairedScores changed_items(int fixed, int broken) {
  PairedScores scores;
  const auto add = [&](int count, double base, double candidate) {
    scores.base.insert(scores.base.end(), static_cast<size_t>(count), base);
    scores.candidate.insert(scores.candidate.end(), static_cast<size_t>(count), candidate);
  };
  add(fixed, 0, 1);
  add(broken, 1, 0);
  add(5, 1, 1);
  add(5, 0, 0);
  return scores;
}

// scipy.stats.ttest_1samp(d, 0) and its confidence_interval(0.95); sum of squares 5 - 10 * 0.09 = 4.1.
TEST(PairedDifferenceTest, OfSingleItemsIsThePairedTTest) {
  const PairedDifference difference = paired_difference(ten_items());
  EXPECT_EQ(difference.num_items, 10);
  EXPECT_EQ(difference.num_clusters, 10);
  EXPECT_NEAR(difference.mean, 0.3, 1e-15);
  EXPECT_NEAR(difference.standard_error, std::sqrt(4.1 / 9 / 10), 1e-15);
  EXPECT_NEAR(difference.p_value, 0.1934220596033322, 1e-12);
  EXPECT_NEAR(difference.interval.low, -0.1828291119331838, 1e-12);
  EXPECT_NEAR(difference.interval.high, 0.7828291119331838, 1e-12);
}

// Clusters of the first four and the next three: sums less their means 0 - 1.2, 2 - 0.9, and single 1 - 0.3, -0.3,
// -0.3.
TEST(PairedDifferenceTest, ItemsOfAClusterCountTogether) {
  PairedScores scores = ten_items();
  scores.clusters = {"a", "a", "a", "a", "b", "b", "b", "", "", ""};
  const PairedDifference difference = paired_difference(scores);
  EXPECT_EQ(difference.num_clusters, 5);
  EXPECT_NEAR(difference.standard_error, std::sqrt(1.44 + 1.21 + 0.49 + 0.09 + 0.09) / 10, 1e-15);
}

// Every item three times over tells nothing new.
TEST(PairedDifferenceTest, CopiesOfItemsInTheirClusterChangeTheErrorByTheDegreeOfFreedomOnly) {
  const PairedScores once = ten_items();
  PairedScores copies;
  for (int copy = 0; copy < 3; ++copy) {
    for (size_t item = 0; item < 10; ++item) {
      copies.base.push_back(once.base[item]);
      copies.candidate.push_back(once.candidate[item]);
      copies.clusters.push_back(std::to_string(item));
    }
  }
  EXPECT_NEAR(paired_difference(copies).standard_error, paired_difference(once).standard_error * std::sqrt(0.9), 1e-15);
}

TEST(PairedDifferenceTest, OfAModelWithItselfIsNothing) {
  PairedScores scores = ten_items();
  scores.candidate = scores.base;
  const PairedDifference difference = paired_difference(scores);
  EXPECT_EQ(difference.mean, 0);
  EXPECT_EQ(difference.p_value, 1);
  EXPECT_EQ(difference.interval.low, 0);
  EXPECT_EQ(difference.interval.high, 0);
}

TEST(PairedDifferenceTest, OtherItemsAndASingleClusterAreRefused) {
  PairedScores scores = ten_items();
  scores.clusters.assign(10, "page");
  EXPECT_THROW(paired_difference(scores), std::invalid_argument);
  scores.clusters.assign(9, "");
  EXPECT_THROW(paired_difference(scores), std::invalid_argument);
  scores = ten_items();
  scores.base.pop_back();
  EXPECT_THROW(mcnemar_test(scores), std::invalid_argument);
}

// scipy.stats.binomtest(min(b, c), b + c, 0.5); mid-p: less the point probability, half of it off 1 where b = c.
TEST(McNemarTestTest, IsTheBinomialTestOfChangedItems) {
  struct Case {
    int fixed, broken;
    double exact_p, mid_p;
  };
  for (const Case& changed :
       {Case{9, 2, 0.0654296875, 0.03857421875}, Case{5, 5, 1, 0.876953125},
        Case{60, 35, 0.013378703026003939, 0.010345913082728786}, Case{0, 4, 0.125, 0.0625}, Case{0, 0, 1, 1}}) {
    const McNemarTest test = mcnemar_test(changed_items(changed.fixed, changed.broken));
    EXPECT_EQ(test.fixed, changed.fixed);
    EXPECT_EQ(test.broken, changed.broken);
    EXPECT_NEAR(test.exact_p, changed.exact_p, 1e-12) << changed.fixed << ", " << changed.broken;
    EXPECT_NEAR(test.mid_p, changed.mid_p, 1e-12) << changed.fixed << ", " << changed.broken;
  }
}

TEST(McNemarTestTest, ScoresBetweenRightAndWrongAreRefused) {
  PairedScores scores = ten_items();
  scores.candidate[3] = 0.5;
  EXPECT_THROW(mcnemar_test(scores), std::invalid_argument);
}

PairedScores normal_items(size_t count) {
  std::mt19937_64 random(1);
  PairedScores scores;
  for (size_t item = 0; item < count; ++item) {
    double sum = 0;  // of twelve uniform draws: nearly normal
    for (int draw = 0; draw < 12; ++draw) sum += static_cast<double>(random() >> 11) / 9007199254740992.0 - 0.5;
    scores.base.push_back(0);
    scores.candidate.push_back(0.1 + sum);
  }
  return scores;
}

TEST(BootstrapIntervalTest, OfManyItemsIsTheNormalOne) {
  const PairedScores scores = normal_items(2000);
  const PairedDifference difference = paired_difference(scores);
  const Interval interval = bootstrap_interval(scores, 7);
  EXPECT_NEAR(interval.low, difference.interval.low, 0.05 * difference.standard_error);
  EXPECT_NEAR(interval.high, difference.interval.high, 0.05 * difference.standard_error);
}

// Of differences 0 and 1 a resample of two has the mean 0, 1/2 or 1 with chances 1/4, 1/2, 1/4.
TEST(BootstrapIntervalTest, OfTwoItemsHasTheirThreeMeans) {
  const PairedScores scores = {.base = {0, 0}, .candidate = {0, 1}, .clusters = {}};
  const Interval half = bootstrap_interval(scores, 3, 10001, 0.4);
  EXPECT_EQ(half.low, 0.5);
  EXPECT_EQ(half.high, 0.5);
  const Interval most = bootstrap_interval(scores, 3, 10001, 0.6);
  EXPECT_EQ(most.low, 0);
  EXPECT_EQ(most.high, 1);
}

TEST(BootstrapIntervalTest, ClustersAreDrawnWhole) {
  PairedScores scores = normal_items(400);
  const Interval single = bootstrap_interval(scores, 5);
  for (size_t item = 0; item < 400; ++item) {
    scores.candidate[item] = scores.candidate[item / 20 * 20];
    scores.clusters.push_back(std::to_string(item / 20));
  }
  const Interval clustered = bootstrap_interval(scores, 5);
  const double widening = (clustered.high - clustered.low) / (single.high - single.low);
  EXPECT_GT(widening, 3);  // sqrt(20) = 4.5 of independent clusters, but for the spread of twenty
  EXPECT_LT(widening, 6);
}

TEST(BootstrapIntervalTest, TheSeedDecides) {
  const PairedScores scores = normal_items(50);
  const Interval first = bootstrap_interval(scores, 1, 500), again = bootstrap_interval(scores, 1, 500);
  EXPECT_EQ(first.low, again.low);
  EXPECT_EQ(first.high, again.high);
  EXPECT_NE(first.low, bootstrap_interval(scores, 2, 500).low);
}

// Sorted 0.005 0.01 0.03 0.04 0.5: times 5 4 3 2 1, never falling.
TEST(AdjustedTest, HolmMultipliesByTheTestsThatAreLeft) {
  EXPECT_THAT(holm_adjusted({0.01, 0.04, 0.03, 0.005, 0.5}),
              ElementsAre(DoubleNear(0.04, 1e-15), DoubleNear(0.09, 1e-15), DoubleNear(0.09, 1e-15),
                          DoubleNear(0.025, 1e-15), DoubleNear(0.5, 1e-15)));
  EXPECT_THAT(holm_adjusted({0.6, 0.7}), ElementsAre(1, 1));
  EXPECT_THAT(holm_adjusted({}), ElementsAre());
}

// scipy.stats.false_discovery_control
TEST(AdjustedTest, BenjaminiAndHochbergDivideByTheRank) {
  EXPECT_THAT(benjamini_hochberg_adjusted({0.01, 0.04, 0.03, 0.005, 0.5}),
              ElementsAre(DoubleNear(0.025, 1e-15), DoubleNear(0.05, 1e-15), DoubleNear(0.05, 1e-15),
                          DoubleNear(0.025, 1e-15), DoubleNear(0.5, 1e-15)));
}

// z(0.975) + z(0.8) = 1.959964 + 0.841621. ARC's challenge, a tenth of its items decided otherwise: 2.6 points.
TEST(MinimumDetectableEffectTest, IsTheNormalTestsAtEightyPercentPower) {
  EXPECT_NEAR(minimum_detectable_effect(1), 2.8015852181129683, 1e-12);
  EXPECT_NEAR(minimum_detectable_effect(std::sqrt(0.10 / 1172)), 0.0258785555245383, 1e-12);
}

// scipy.stats.binomtest(k, n).proportion_ci(0.95, 'wilson')
TEST(WilsonIntervalTest, IsTheScoreInterval) {
  const Interval eight = wilson_interval(8, 10), none = wilson_interval(0, 20), rte = wilson_interval(142, 277);
  EXPECT_NEAR(eight.low, 0.4901624715366418, 1e-12);
  EXPECT_NEAR(eight.high, 0.9433178485456248, 1e-12);
  EXPECT_NEAR(none.low, 0, 1e-15);
  EXPECT_NEAR(none.high, 0.16112515805281935, 1e-12);
  EXPECT_NEAR(rte.low, 0.454003643774563, 1e-12);
  EXPECT_NEAR(rte.high, 0.5709214510792892, 1e-12);
  EXPECT_THROW(wilson_interval(3, 2), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
