#include "harness/retraining/optimizer.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

at::Tensor parameter_of(std::vector<float> values) { return at::tensor(values).set_requires_grad(true); }

void set_gradient(const at::Tensor& parameter, const at::Tensor& gradient) {
  at::Tensor(parameter).mutable_grad() = gradient.clone();
}

// The paper's algorithm 2, one number at a time.
struct DoubleAdamW {
  double parameter, mean = 0, square = 0;
  int steps = 0;
  void step(double gradient, double rate, double decay, const AdamWOptions& options) {
    ++steps;
    mean = options.beta1 * mean + (1 - options.beta1) * gradient;
    square = options.beta2 * square + (1 - options.beta2) * gradient * gradient;
    const double corrected_mean = mean / (1 - std::pow(options.beta1, steps));
    const double corrected_square = square / (1 - std::pow(options.beta2, steps));
    parameter -= rate * decay * parameter;
    parameter -= rate * corrected_mean / (std::sqrt(corrected_square) + options.epsilon);
  }
};

TEST(AdamWTest, AgreesWithThePapersAlgorithmInDouble) {
  const AdamWOptions options{.beta1 = 0.8, .beta2 = 0.9, .epsilon = 1e-6};
  const at::Tensor parameter = parameter_of({0.5, -2, 3});
  std::vector<DoubleAdamW> twins = {{0.5}, {-2}, {3}};
  AdamW optimizer({{.parameters = {parameter}, .learning_rate = 0.1, .weight_decay = 0.3}}, options);
  const at::Tensor gradients = at::randn({5, 3}, at::detail::createCPUGenerator(1));
  for (int64_t step = 0; step < 5; ++step) {
    const double factor = 1 - 0.1 * static_cast<double>(step);
    set_gradient(parameter, gradients[step]);
    optimizer.step(factor);
    for (int64_t index = 0; index < 3; ++index) {
      twins[index].step(gradients[step][index].item<double>(), 0.1 * factor, 0.3, options);
    }
  }
  for (int64_t index = 0; index < 3; ++index) {
    EXPECT_NEAR(parameter[index].item<double>(), twins[index].parameter, 1e-6);
  }
}

TEST(AdamWTest, ParameterWithoutAGradientStays) {
  const at::Tensor still = parameter_of({1, 2}), moved = parameter_of({1, 2});
  AdamW optimizer({{.parameters = {still, moved}, .learning_rate = 0.1, .weight_decay = 0.5}});
  set_gradient(moved, at::ones({2}));
  optimizer.step();
  EXPECT_TRUE(still.equal(at::tensor({1.0f, 2.0f})));
  EXPECT_FALSE(moved.equal(at::tensor({1.0f, 2.0f})));
  EXPECT_FALSE(moved.grad().defined());
}

TEST(AdamWTest, RestoredStateGoesOnWithTheSameBits) {
  const auto run = [](bool is_interrupted) {
    const at::Tensor parameter = parameter_of({1, -1});
    auto optimizer = std::make_unique<AdamW>(std::vector<ParameterGroup>{{.parameters = {parameter}}});
    for (int step = 1; step <= 4; ++step) {
      set_gradient(parameter, at::tensor({0.3f * static_cast<float>(step), 1.0f}));
      optimizer->step();
      if (!is_interrupted || step != 2) continue;
      const auto state = optimizer->state();
      optimizer = std::make_unique<AdamW>(std::vector<ParameterGroup>{{.parameters = {parameter}}});
      optimizer->restore(state);
    }
    return parameter.detach();
  };
  EXPECT_TRUE(run(true).equal(run(false)));
}

TEST(AdamWTest, StateOfOtherParametersIsRefused) {
  AdamW optimizer({{.parameters = {parameter_of({1, 2, 3})}}});
  const AdamW other({{.parameters = {parameter_of({1, 2})}}});
  EXPECT_THROW(optimizer.restore(other.state()), std::runtime_error);
}

TEST(ClipGradientsTest, ScalesAllToTheLargestNormAndLeavesSmallOnesAlone) {
  const at::Tensor one = parameter_of({0, 0}), other = parameter_of({0}), without = parameter_of({0});
  set_gradient(one, at::tensor({3.0f, 0.0f}));
  set_gradient(other, at::tensor({4.0f}));
  const std::vector<at::Tensor> parameters = {one, other, without};
  EXPECT_DOUBLE_EQ(gradient_norm(parameters), 5);
  clip_gradients(parameters, 5, 10);
  EXPECT_DOUBLE_EQ(gradient_norm(parameters), 5);
  clip_gradients(parameters, 5, 1);
  EXPECT_NEAR(one.grad()[0].item<double>(), 0.6, 1e-6);
  EXPECT_NEAR(other.grad()[0].item<double>(), 0.8, 1e-6);
}

TEST(GradientNormTest, IsNotFiniteWhereAGradientIsNot) {
  const at::Tensor parameter = parameter_of({0, 0});
  set_gradient(parameter, at::tensor({NAN, 1.0f}));
  EXPECT_FALSE(std::isfinite(gradient_norm({parameter})));
}

}  // namespace
}  // namespace moebench
