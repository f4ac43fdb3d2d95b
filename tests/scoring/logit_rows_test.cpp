#include "harness/scoring/logit_rows.h"

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace moebench {
namespace {

std::vector<float> random_logits(size_t size, float spread) {
  std::mt19937 generator(3);
  std::normal_distribution<float> normal(0, spread);
  std::vector<float> logits(size);
  for (float& logit : logits) logit = normal(generator);
  return logits;
}

double definition(const std::vector<float>& row, int64_t target) {
  const double highest = *std::max_element(row.begin(), row.end());
  double total = 0;
  for (const float logit : row) total += std::exp(logit - highest);
  return row[target] - highest - std::log(total);
}

LogitRowScore score_row(const std::vector<float>& row, int64_t target) {
  LogitRowScore score;
  score_logit_rows(row.data(), 1, row.size(), &target, &score);
  return score;
}

TEST(LogitRowsTest, LogprobsEqualTheDefinitionInDouble) {
  for (const size_t vocab_size : {1, 2, 15, 16, 17, 49152, 49157}) {
    for (const float spread : {0.01f, 1.0f, 8.0f, 40.0f}) {
      const std::vector<float> row = random_logits(vocab_size, spread);
      const int64_t target = vocab_size / 2;
      EXPECT_NEAR(score_row(row, target).logprob, definition(row, target), 2e-7) << vocab_size << " " << spread;
    }
  }
}

TEST(LogitRowsTest, GreedyIsTheLowestIdOnTies) {
  std::vector<float> row = random_logits(100, 1);
  row[20] = row[70] = 9;
  EXPECT_TRUE(score_row(row, 20).is_greedy);
  EXPECT_FALSE(score_row(row, 70).is_greedy);
  EXPECT_FALSE(score_row(row, 21).is_greedy);
  row[99] = 10;  // past the last full vector
  EXPECT_FALSE(score_row(row, 20).is_greedy);
  EXPECT_TRUE(score_row(row, 99).is_greedy);
}

TEST(LogitRowsTest, ARowWithNotANumberHasNone) {
  for (const size_t place : {0, 20, 49}) {
    std::vector<float> row = random_logits(50, 1);
    row[place] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(score_row(row, 7).logprob)) << place;
  }
}

TEST(LogitRowsTest, ImpossibleTokensHaveNoProbabilityAndTakeNone) {
  std::vector<float> row(50, -std::numeric_limits<float>::infinity());
  row[7] = 3;
  row[30] = 3;
  EXPECT_NEAR(score_row(row, 7).logprob, -std::log(2), 1e-7);
  EXPECT_EQ(score_row(row, 8).logprob, -std::numeric_limits<double>::infinity());
}

TEST(LogitRowsTest, HugeLogitsDoNotOverflow) {
  std::vector<float> row(33, 0);
  row[5] = 3e38f;
  EXPECT_EQ(score_row(row, 5).logprob, 0);
  EXPECT_EQ(score_row(row, 6).logprob, -static_cast<double>(3e38f));
}

TEST(LogitRowsTest, LogitThatIsNotANumberIsNotHidden) {
  std::vector<float> row = random_logits(40, 1);
  row[11] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_TRUE(std::isnan(score_row(row, 3).logprob));
}

TEST(LogitRowsTest, EachRowHasItsOwnTarget) {
  const std::vector<float> logits = random_logits(300 * 20, 2);
  std::vector<int64_t> targets;
  for (int64_t row = 0; row < 300; ++row) targets.push_back(row % 20);
  std::vector<LogitRowScore> scores(300);
  score_logit_rows(logits.data(), 300, 20, targets.data(), scores.data());
  for (int64_t row = 0; row < 300; ++row) {
    const std::vector<float> alone(logits.begin() + row * 20, logits.begin() + (row + 1) * 20);
    EXPECT_EQ(scores[row].logprob, score_row(alone, targets[row]).logprob);
  }
}

}  // namespace
}  // namespace moebench
