#include "results/verdict.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace moebench {
namespace {

constexpr Direction kLower = Direction::kLowerIsBetter, kHigher = Direction::kHigherIsBetter;

// Eleven values around center, a tenth of a per cent apart, no two equal to those of another offset.
std::vector<double> around(double center, double offset = 0) {
  std::vector<double> values;
  for (int place = -5; place <= 5; ++place) values.push_back(center * (1 + 0.001 * place + offset));
  return values;
}

Verdict timing(double slowdown, const std::vector<double>& history = {}, bool is_ratio = true) {
  const Evidence evidence = timing_evidence(around(1), around(1 + slowdown, 1e-5), kLower, is_ratio, history);
  return judge(evidence, evidence.p_value);
}

TEST(TimingVerdictTest, FivePerCentSlowerIsARegressionAndFasterAnImprovement) {
  EXPECT_EQ(timing(0.05), Verdict::kRegressed);
  EXPECT_EQ(timing(-0.05), Verdict::kImproved);
}

TEST(TimingVerdictTest, ATenthOfAPerCentIsOk) { EXPECT_EQ(timing(0.001), Verdict::kOk); }

// Two per cent is far more than these samples' noise, and still does not matter.
TEST(TimingVerdictTest, SignificantButSmallIsOk) {
  const Evidence evidence = timing_evidence(around(1), around(1.02, 1e-5), kLower, true, {});
  EXPECT_LT(evidence.p_value, 0.01);
  EXPECT_EQ(judge(evidence, evidence.p_value), Verdict::kOk);
}

TEST(TimingVerdictTest, ASlowdownBesideTheThresholdIsInconclusive) {
  EXPECT_EQ(timing(0.0295), Verdict::kInconclusive) << "the interval reaches over three per cent";
}

TEST(TimingVerdictTest, FewRepetitionsAreInconclusive) {
  const Evidence evidence = timing_evidence({1, 1.001, 1.002}, {1.10, 1.101, 1.102}, kLower, true, {});
  EXPECT_NEAR(evidence.p_value, 0.1, 1e-12);
  EXPECT_EQ(judge(evidence, evidence.p_value), Verdict::kInconclusive);
}

TEST(TimingVerdictTest, TokensPerSecondAreWorseWhenFewer) {
  const Evidence fewer = timing_evidence(around(100), around(90, 1e-5), kHigher, true, {});
  EXPECT_NEAR(fewer.worsening, 100.0 / 90 - 1, 1e-4);
  EXPECT_EQ(judge(fewer, fewer.p_value), Verdict::kRegressed);
  const Evidence more = timing_evidence(around(90), around(100, 1e-5), kHigher, true, {});
  EXPECT_EQ(judge(more, more.p_value), Verdict::kImproved);
}

TEST(TimingVerdictTest, AHistoryThatMovesAsMuchMakesItOk) {
  const std::vector<double> restless = {1, 1.04, 0.99, 1.05, 1.01, 1.06, 1.00};
  EXPECT_EQ(timing(0.05, restless), Verdict::kOk);
  EXPECT_EQ(timing(0.05, {1, 1.001, 1, 1.002, 1, 1.001, 1}), Verdict::kRegressed);
}

TEST(TimingVerdictTest, SecondsWithoutAHistoryHaveToMoveTenPerCent) {
  EXPECT_EQ(timing(0.05, {}, false), Verdict::kOk);
  EXPECT_EQ(timing(0.12, {}, false), Verdict::kRegressed);
  EXPECT_EQ(timing(0.05, {1, 1.001, 1, 1.002, 1, 1.001, 1}, false), Verdict::kRegressed);
}

// Changes 1 2 3 4 5 per cent: quartiles 2 and 4, so 4 + 3 * 2.
TEST(HistorySpreadTest, IsTheUpperQuartileAndThreeRanges) {
  std::vector<double> medians = {1};
  for (const double change : {0.03, -0.01, 0.05, -0.02, 0.04}) medians.push_back(medians.back() * (1 + change));
  EXPECT_NEAR(history_spread(medians).value(), 0.10, 1e-12);
  medians.pop_back();
  EXPECT_FALSE(history_spread(medians).has_value());
}

TEST(HistorySpreadTest, OneBadNightHardlyWidensIt) {
  std::vector<double> medians;
  for (int night = 0; night < 30; ++night) medians.push_back(night % 2 == 0 ? 1 : 1.002);
  const double calm = history_spread(medians).value();
  medians[15] = 2;
  EXPECT_NEAR(history_spread(medians).value(), calm, 1e-4);
}

PairedItems nll_items(const std::vector<double>& changes) {
  PairedItems items{.score = ItemScore::kNll};
  for (const double change : changes) {
    items.scores.base.push_back(3);
    items.scores.candidate.push_back(3 + change);
  }
  return items;
}

Verdict quality(const PairedItems& items) {
  const Evidence evidence = quality_evidence(items);
  return judge(evidence, evidence.p_value);
}

TEST(QualityVerdictTest, LikelihoodThatFallsOnEveryItemIsARegression) {
  EXPECT_EQ(quality(nll_items({0.02, 0.021, 0.019, 0.022, 0.018})), Verdict::kRegressed);
  EXPECT_EQ(quality(nll_items({-0.02, -0.021, -0.019, -0.022, -0.018})), Verdict::kImproved);
}

TEST(QualityVerdictTest, TheSameItemsToTheLastBitAreOk) { EXPECT_EQ(quality(nll_items({0, 0, 0})), Verdict::kOk); }

TEST(QualityVerdictTest, AnotherOrderOfSummingIsOk) {
  EXPECT_EQ(quality(nll_items({2e-6, 3e-6, 2e-6, 2.5e-6})), Verdict::kOk);
}

TEST(QualityVerdictTest, ItemsThatMoveBothWaysAreNoRegression) {
  EXPECT_EQ(quality(nll_items({0.02, -0.021, 0.019, -0.022, 0.005})), Verdict::kOk);
}

PairedItems right_items(int fixed, int broken, int kept) {
  PairedItems items{.score = ItemScore::kRight};
  const auto add = [&](int count, double base, double candidate) {
    items.scores.base.insert(items.scores.base.end(), static_cast<size_t>(count), base);
    items.scores.candidate.insert(items.scores.candidate.end(), static_cast<size_t>(count), candidate);
  };
  add(fixed, 0, 1);
  add(broken, 1, 0);
  add(kept, 1, 1);
  return items;
}

// McNemar: twelve broken and none fixed is 2 / 2^12; three broken 2 / 2^3.
TEST(QualityVerdictTest, AnswersThatBreakAreARegression) {
  EXPECT_EQ(quality_evidence(right_items(0, 12, 50)).p_value, 2.0 / 4096);
  EXPECT_EQ(quality(right_items(0, 12, 50)), Verdict::kRegressed);
  EXPECT_EQ(quality(right_items(12, 0, 50)), Verdict::kImproved);
  EXPECT_EQ(quality(right_items(0, 3, 50)), Verdict::kOk);
  EXPECT_EQ(quality(right_items(0, 5, 50)), Verdict::kInconclusive) << "2 / 2^5 is between the two levels";
}

TEST(CounterVerdictTest, WholeNumbersHaveToBeEqual) {
  EXPECT_EQ(judge_counter(1e9, 1e9, Direction::kNeither), Verdict::kOk);
  EXPECT_EQ(judge_counter(1e9, 1e9 + 1, Direction::kNeither), Verdict::kRegressed);
  EXPECT_EQ(judge_counter(1e9, 1e9 + 1, kLower), Verdict::kRegressed);
  EXPECT_EQ(judge_counter(1e9, 1e9 - 1, kLower), Verdict::kImproved);
  EXPECT_EQ(judge_counter(1e9, 1e9 + 1, kHigher), Verdict::kImproved);
}

TEST(CounterVerdictTest, MeansHaveToBeNearlyEqual) {
  EXPECT_EQ(judge_counter(20.5, 20.5001, kLower), Verdict::kOk);
  EXPECT_EQ(judge_counter(20.5, 20.6, kLower), Verdict::kRegressed);
}

TEST(CounterVerdictTest, ADivergedModelIsARegression) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(judge_counter(20.5, std::nan(""), kLower), Verdict::kRegressed);
  EXPECT_EQ(judge_counter(20.5, infinity, kHigher), Verdict::kRegressed);
  EXPECT_EQ(judge_counter(std::nan(""), 20.5, kLower), Verdict::kImproved);
  EXPECT_EQ(judge_counter(std::nan(""), std::nan(""), kLower), Verdict::kOk);
}

}  // namespace
}  // namespace moebench
