#include "results/history_changes.h"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

namespace moebench {
namespace {

std::vector<double> noisy_nights(size_t num_nights, double deviation, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> noise(0, deviation);
  std::vector<double> values(num_nights);
  for (double& value : values) value = std::exp(noise(random));
  return values;
}

TEST(HistoryChangesTest, AStepIsFoundWithItsNightAndSize) {
  std::vector<double> values = noisy_nights(40, 0.002, 1);
  for (size_t night = 25; night < 40; ++night) values[night] *= 1.05;
  const std::vector<HistoryChange> changes = find_changes(values);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, ChangeKind::kStep);
  EXPECT_EQ(changes[0].first, 25u);
  EXPECT_NEAR(changes[0].size, 0.05, 0.003);
  EXPECT_EQ(changes[0].p_value, 1.0 / 1000);
}

TEST(HistoryChangesTest, TwoStepsAreTwoChangesOldestFirst) {
  std::vector<double> values = noisy_nights(60, 0.002, 2);
  for (size_t night = 20; night < 60; ++night) values[night] *= 1.04;
  for (size_t night = 45; night < 60; ++night) values[night] *= 0.94;
  const std::vector<HistoryChange> changes = find_changes(values);
  ASSERT_EQ(changes.size(), 2u);
  EXPECT_EQ(changes[0].first, 20u);
  EXPECT_EQ(changes[1].first, 45u);
  EXPECT_NEAR(changes[1].size, -0.06, 0.003);
}

// Without noise least squares is exact: a level, then 1 % more each night.
TEST(HistoryChangesTest, ACleanDriftIsDatedToTheNight) {
  std::vector<double> values(30, 2.0);
  for (size_t night = 18; night < 30; ++night) values[night] = 2 * std::pow(1.01, static_cast<double>(night - 17));
  const std::vector<HistoryChange> changes = find_changes(values);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].kind, ChangeKind::kDrift);
  EXPECT_EQ(changes[0].first, 18u);
  EXPECT_NEAR(changes[0].size, 0.01, 1e-9);
}

// 0.5 % a night, which no comparison with the night before would see, among nights that differ by as much.
TEST(HistoryChangesTest, ADriftOfHalfAPerCentANightIsDatedWithinThreeNights) {
  int within = 0;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    std::vector<double> values = noisy_nights(50, 0.005, seed);
    const size_t start = 28 + seed % 9;
    for (size_t night = start; night < 50; ++night) values[night] *= 1 + 0.005 * static_cast<double>(night - start + 1);
    const std::vector<HistoryChange> changes = find_changes(values);
    const auto is_near = [&](const HistoryChange& change) {
      return change.kind == ChangeKind::kDrift &&
             std::abs(static_cast<double>(change.first) - static_cast<double>(start)) <= 3;
    };
    within += !changes.empty() && is_near(changes.back());
  }
  EXPECT_GE(within, 190);
}

TEST(HistoryChangesTest, NoiseHasNoChanges) {
  int found = 0;
  for (uint64_t seed = 0; seed < 500; ++seed) found += !find_changes(noisy_nights(30, 0.01, 1000 + seed)).empty();
  EXPECT_LE(found, 12);  // of 500 one in a hundred, and three standard deviations
}

TEST(HistoryChangesTest, WhatIsTooSmallToMatterIsNoChange) {
  std::vector<double> values(30, 2.0);
  for (size_t night = 15; night < 30; ++night) values[night] = 2.001;
  EXPECT_TRUE(find_changes(values).empty()) << "half a thousandth";
  EXPECT_EQ(find_changes(values, {.min_change = 0.0001}).size(), 1u);
}

TEST(HistoryChangesTest, ConstantShortAndImpossibleHistoriesHaveNone) {
  EXPECT_TRUE(find_changes({}).empty());
  EXPECT_TRUE(find_changes({1, 2}).empty());
  EXPECT_TRUE(find_changes(std::vector<double>(20, 3.3)).empty());
  EXPECT_TRUE(find_changes({1, 2, 3, 0, 5, 6, 7, 8}).empty());
  EXPECT_TRUE(find_changes({1, 2, 3, std::nan(""), 5, 6, 7, 8}).empty());
}

}  // namespace
}  // namespace moebench
