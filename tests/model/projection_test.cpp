#include "harness/model/projection.h"

#include <cmath>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

class ProjectionTest : public testing::Test {
 protected:
  at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes, generator_); }

  void expect_equals_the_product_in_double(const at::Tensor& input, const at::Tensor& weight, const at::Tensor& bias) {
    const at::Tensor expected = at::matmul(input.to(at::kDouble), weight.to(at::kDouble).t()) + bias.to(at::kDouble);
    const at::Tensor result = project(input, weight, bias);
    ASSERT_EQ(result.sizes(), expected.sizes());
    if (expected.numel() == 0) return;
    // Products of `in` unit normals: a standard deviation of sqrt(in), and rounding below 1e-6 of that each.
    const double tolerance = 1e-5 * std::sqrt(static_cast<double>(input.size(-1)));
    EXPECT_LT((result - expected).abs().max().item<double>(), tolerance) << input.sizes() << weight.sizes();
  }

  at::Generator generator_ = at::detail::createCPUGenerator(1);
};

TEST_F(ProjectionTest, EqualsTheProductInDouble) {
  const c10::InferenceMode inference;
  for (const int64_t rows : {0, 1, 31, 32, 33, 257, 2048}) {
    expect_equals_the_product_in_double(random({rows, 96}), random({130, 96}), random({130}));
  }
  expect_equals_the_product_in_double(random({3, 50, 96}), random({7, 96}), random({7}));
}

TEST_F(ProjectionTest, TakesViewsOfLargerTensors) {
  const c10::InferenceMode inference;
  const at::Tensor input = random({80, 200}).narrow(1, 40, 96);
  expect_equals_the_product_in_double(input, random({60, 96}).narrow(0, 10, 25), random({25}));
  expect_equals_the_product_in_double(input, random({25, 300}).narrow(1, 7, 96), random({25}));
  expect_equals_the_product_in_double(input.expand({2, 80, 96}).transpose(0, 1), random({96, 25}).t(), random({25}));
}

TEST_F(ProjectionTest, SameInputGivesTheSameBits) {
  const c10::InferenceMode inference;
  const at::Tensor input = random({300, 576}), weight = random({960, 576});
  const at::Tensor first = project(input, weight);
  for (int repeat = 0; repeat < 5; ++repeat) EXPECT_TRUE(at::equal(project(input.clone(), weight.clone()), first));
}

TEST_F(ProjectionTest, GradientsFlowWhereTheyAreWanted) {
  const at::Tensor input = random({64, 16}), weight = random({8, 16}).requires_grad_();
  project(input, weight).sum().backward();
  EXPECT_LT((weight.grad() - input.sum(0)).abs().max().item<double>(), 1e-4);

  const at::Tensor wanted = random({64, 16}).requires_grad_();
  project(wanted, weight.detach()).sum().backward();
  EXPECT_LT((wanted.grad() - weight.detach().sum(0)).abs().max().item<double>(), 1e-4);
}

TEST_F(ProjectionTest, FewRowsOrAGradientAreLeftToTheDefaultLibrary) {
  EXPECT_FALSE(projects_with_onednn(random({31, 16}), random({8, 16})));
  EXPECT_FALSE(projects_with_onednn(random({64, 16}), random({8, 16}).requires_grad_()));
  EXPECT_FALSE(projects_with_onednn(random({64, 16}).to(at::kBFloat16), random({8, 16}).to(at::kBFloat16)));
}

}  // namespace
}  // namespace moebench
