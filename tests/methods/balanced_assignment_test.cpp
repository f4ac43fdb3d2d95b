#include "methods/balanced_assignment.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>
#include <stdexcept>

#include <gtest/gtest.h>

#include "methods/jonker_volgenant.h"

namespace moebench {
namespace {

int64_t total_cost(const std::vector<int64_t>& costs, const std::vector<int64_t>& assigned, int64_t num_clusters) {
  int64_t total = 0;
  for (size_t item = 0; item < assigned.size(); ++item) total += costs[item * num_clusters + assigned[item]];
  return total;
}

std::vector<int64_t> sizes(const std::vector<int64_t>& assigned, int64_t num_clusters) {
  std::vector<int64_t> result(num_clusters);
  for (const int64_t cluster : assigned) ++result[cluster];
  return result;
}

// The least cost over all distinct ways to deal equal hands.
int64_t least_cost(const std::vector<int64_t>& costs, int64_t num_clusters) {
  const int64_t num_items = static_cast<int64_t>(costs.size()) / num_clusters;
  std::vector<int64_t> assigned(num_items);
  for (int64_t item = 0; item < num_items; ++item) assigned[item] = item * num_clusters / num_items;
  int64_t least = std::numeric_limits<int64_t>::max();
  do {
    least = std::min(least, total_cost(costs, assigned, num_clusters));
  } while (std::next_permutation(assigned.begin(), assigned.end()));
  return least;
}

TEST(BalancedAssignmentTest, CostIsTheLeastOfAllBalancedAssignments) {
  std::mt19937 random(1);
  for (int trial = 0; trial < 200; ++trial) {
    const int64_t num_clusters = 2 + trial % 2;
    std::vector<int64_t> costs(9 * num_clusters - (num_clusters == 2 ? 2 : 0));
    // Few different costs, so that ties abound as they do between marker columns.
    for (int64_t& cost : costs) cost = random() % (trial < 100 ? 4 : 1000);
    for (const auto assign : {balanced_assignment, jonker_volgenant_assignment}) {
      const std::vector<int64_t> assigned = assign(costs, num_clusters);
      const int64_t size = static_cast<int64_t>(assigned.size()) / num_clusters;
      EXPECT_EQ(sizes(assigned, num_clusters), std::vector<int64_t>(num_clusters, size));
      EXPECT_EQ(total_cost(costs, assigned, num_clusters), least_cost(costs, num_clusters));
    }
  }
}

TEST(BalancedAssignmentTest, GreedyChoiceIsGivenUpWhereTheSumIsLess) {
  // Item 0 is nearest to cluster 0, but item 1 loses more by giving it up.
  EXPECT_EQ(balanced_assignment(std::vector<int64_t>{1, 2, 0, 100}, 2), (std::vector<int64_t>{1, 0}));
}

TEST(BalancedAssignmentTest, SameCostsGiveTheSameAssignment) {
  const std::vector<int64_t> costs(60 * 4, 7);
  EXPECT_EQ(balanced_assignment(costs, 4), balanced_assignment(costs, 4));
}

TEST(BalancedAssignmentTest, OneClusterTakesAll) {
  for (const auto assign : {balanced_assignment, jonker_volgenant_assignment}) {
    EXPECT_EQ(assign(std::vector<int64_t>{5, 6, 7}, 1), (std::vector<int64_t>{0, 0, 0}));
    EXPECT_EQ(assign(std::vector<int64_t>{5}, 1), (std::vector<int64_t>{0}));
  }
}

TEST(BalancedAssignmentTest, RefusesItemsThatDoNotShareOut) {
  EXPECT_THROW(balanced_assignment(std::vector<int64_t>(6), 2), std::invalid_argument);
  EXPECT_THROW(balanced_assignment(std::vector<int64_t>(6), 0), std::invalid_argument);
  EXPECT_THROW(jonker_volgenant_assignment(std::vector<int64_t>(6), 2), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
