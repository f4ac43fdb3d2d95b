#include "tasks/nll_average.h"

#include <cmath>

#include <gtest/gtest.h>

namespace moebench {
namespace {

Item window(double nll, int64_t tokens) { return {.nll = nll, .tokens = tokens}; }

TEST(NllAverageTest, TokenWeightedDomainsAreTheirWindowsTogether) {
  const std::vector<Item> first = {window(10, 4), window(14, 4)}, second = {window(3, 2), window(9, 4), window(5, 1)};
  std::vector<Item> together = first;
  together.insert(together.end(), second.begin(), second.end());
  const NllAverage average = token_weighted_average({average_over_windows(first), average_over_windows(second)});
  EXPECT_DOUBLE_EQ(average.nll, 41.0 / 15);
  EXPECT_DOUBLE_EQ(average.nll, average_over_windows(together).nll);
  EXPECT_EQ(average.tokens, 15);
}

TEST(NllAverageTest, MacroAverageWeighsDomainsTheSame) {
  const NllAverage average =
      macro_average({{.nll = 1, .tokens = 1000}, {.nll = 4, .tokens = 1}, {.nll = 4, .tokens = 2}});
  EXPECT_DOUBLE_EQ(average.nll, 3);
  EXPECT_EQ(average.tokens, 1003);
}

// The variance of a sum of independent parts is the sum of theirs.
TEST(NllAverageTest, ErrorsOfDomainsAddAsIndependent) {
  const std::vector<NllAverage> domains = {{1, 0.3, 100}, {2, 0.4, 300}};
  EXPECT_DOUBLE_EQ(macro_average(domains).standard_error.value(), 0.5 / 2);
  EXPECT_DOUBLE_EQ(token_weighted_average(domains).standard_error.value(), std::hypot(0.3 * 0.25, 0.4 * 0.75));
}

TEST(NllAverageTest, ADomainWithoutErrorLeavesTheAverageWithoutOne) {
  const std::vector<NllAverage> domains = {{1, 0.3, 100}, average_over_windows(std::vector<Item>{window(3, 2)})};
  EXPECT_EQ(macro_average(domains).standard_error, std::nullopt);
  EXPECT_EQ(token_weighted_average(domains).standard_error, std::nullopt);
}

}  // namespace
}  // namespace moebench
