#include "harness/adjustment/ridge_regression.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/adjustment/adjustment_scene.h"

namespace moebench {
namespace {

class RidgeRegressionTest : public testing::Test {
 protected:
  RidgeRegressionTest() {
    for (int64_t window = 0; window < 3; ++window) regression_.observe(features_[window], targets_[window]);
  }

  RidgeSolution solve() const { return regression_.solve(regression_.gram(), start_, penalty_); }

  double squared_error(const at::Tensor& coefficients) const {
    return (at::cat(targets_).to(at::kDouble) - at::cat(features_).to(at::kDouble).matmul(coefficients))
        .square()
        .sum()
        .item<double>();
  }
  double objective(const at::Tensor& coefficients) const {
    const at::Tensor moved = (coefficients - start_).square() * penalty_.unsqueeze(1);
    return squared_error(coefficients) + moved.sum().item<double>();
  }

  const std::vector<at::Tensor> features_ = random_windows(3, 50, 9, 1), targets_ = random_windows(3, 50, 4, 2);
  const at::Tensor start_ = random_windows(1, 9, 4, 3).front().to(at::kDouble);
  const at::Tensor penalty_ = at::linspace(0.5, 5, 9, at::kDouble);
  RidgeRegression regression_{9, 4};
};

TEST_F(RidgeRegressionTest, GramIsTheSumOfProductsOverTokens) {
  const at::Tensor all = at::cat(features_).to(at::kDouble);
  EXPECT_LT(largest_difference(regression_.gram(), all.t().matmul(all)), 1e-4);
}

TEST_F(RidgeRegressionTest, SolutionIsThatOfTheNormalEquations) {
  const at::Tensor x = at::cat(features_).to(at::kDouble), y = at::cat(targets_).to(at::kDouble);
  const at::Tensor left = x.t().matmul(x) + at::diag(penalty_);
  const at::Tensor expected = left.inverse().matmul(x.t().matmul(y) + penalty_.unsqueeze(1) * start_);
  EXPECT_LT(largest_difference(solve().coefficients, expected), 1e-6);
}

TEST_F(RidgeRegressionTest, NoNeighbourOfTheSolutionIsBetter) {
  const at::Tensor solution = solve().coefficients;
  for (const at::Tensor& direction : random_windows(10, 9, 4, 4)) {
    EXPECT_GT(objective(solution + 1e-2 * direction), objective(solution));
  }
}

TEST_F(RidgeRegressionTest, ErrorsAreThoseOfStartAndSolution) {
  const RidgeSolution solution = solve();
  EXPECT_NEAR(solution.squared_error_at_start, squared_error(start_), 1e-5 * squared_error(start_));
  EXPECT_NEAR(solution.squared_error, squared_error(solution.coefficients), 1e-5 * squared_error(start_));
}

}  // namespace
}  // namespace moebench
