#include "harness/adjustment/ridge_router.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/model/router.h"
#include "tests/adjustment/adjustment_scene.h"

namespace moebench {
namespace {

constexpr int64_t kHidden = AdjustmentScene::kHidden;

at::Tensor nothing(const at::Tensor&, int64_t) { return at::zeros({1}); }

// Inputs of which every coordinate takes few values, and neurons that read one coordinate each: any function of three
// values is a quadratic one, of two values a linear one.
class RidgeRouterTest : public testing::Test {
 protected:
  void observe(int64_t num_values) {
    dense_ = random_mlp(kHidden, kHidden, 1);
    const at::Tensor diagonal = at::eye(kHidden);
    dense_.gate_proj.mul_(diagonal);
    dense_.up_proj.mul_(diagonal);
    inputs_ = at::randint(0, num_values, {3000, kHidden}, at::detail::createCPUGenerator(5), at::kLong)
                  .to(at::kFloat)
                  .sub_(0.75);
    evidence_.emplace(dense_, "none");
    const Window window(dense_, inputs_);
    evidence_->observe(window.chunk());
    for (int64_t neuron = 0; neuron < kHidden; ++neuron) {
      conversion_.experts.push_back({.neurons = at::full({1}, neuron, at::kLong)});
    }
    conversion_.top_k = 3;
  }

  // ||expert(x) - instead||, [tokens, E], one expert after another.
  at::Tensor contributions(const std::function<at::Tensor(const at::Tensor& outputs, int64_t expert)>& instead) const {
    std::vector<at::Tensor> norms;
    const at::Tensor h = gated_activations(dense_, inputs_);
    for (int64_t expert = 0; expert < kHidden; ++expert) {
      const at::Tensor outputs = h.select(1, expert).unsqueeze(1) * dense_.down_proj.select(1, expert);
      norms.push_back((outputs - instead(outputs, expert)).norm(2, {1}));
    }
    return at::stack(norms, 1);
  }

  at::Tensor logits() const { return router_logits(conversion_.router, inputs_); }

  // What the regression written down in double predicts.
  at::Tensor regressed(const at::Tensor& norms) const {
    const at::Tensor x = inputs_.to(at::kDouble);
    const at::Tensor features = at::cat({x, x.square(), at::ones({x.size(0), 1}, x.options())}, 1);
    const at::Tensor gram = features.t().matmul(features);
    const at::Tensor left = gram + at::diag(1e-3 * gram.diagonal());
    return features.matmul(left.inverse().matmul(features.t().matmul(norms.to(at::kDouble))));
  }

  GatedMlpWeights dense_;
  at::Tensor inputs_;
  std::optional<LayerEvidence> evidence_;
  LayerConversion conversion_;
};

TEST_F(RidgeRouterTest, QuadraticNormsAreRecovered) {
  observe(3);
  const double agreement = fit_ridge_router(*evidence_, RouterKind::kQuadratic, false, conversion_);
  EXPECT_EQ(conversion_.router.kind, RouterKind::kQuadratic);
  const at::Tensor norms = contributions(nothing);
  EXPECT_LT(largest_difference(logits(), norms), 0.01 * norms.max().item<double>());  // the ridge is 1e-3
  EXPECT_LT(largest_difference(logits(), regressed(norms)), 1e-4);
  EXPECT_GT(agreement, 0.99);
}

TEST_F(RidgeRouterTest, LinearNormsAreRecoveredByTheLinearRouter) {
  observe(2);
  fit_ridge_router(*evidence_, RouterKind::kLinear, false, conversion_);
  EXPECT_EQ(conversion_.router.kind, RouterKind::kLinear);
  const at::Tensor norms = contributions(nothing);
  EXPECT_LT(largest_difference(logits(), norms), 0.01 * norms.max().item<double>());
}

// A softmax of huge ones would be 0 and 1.
TEST_F(RidgeRouterTest, ScoresAreScaledByAPowerOfTwoToWhereExpertsOfMostTokensDifferByAboutOne) {
  for (const double factor : {1e-3, 1.0, 1e4}) {
    observe(3);
    dense_.down_proj.mul_(factor);
    fit_ridge_router(*evidence_, RouterKind::kQuadratic, false, conversion_);
    const at::Tensor before = logits();
    scale_to_unit_spread(*evidence_, conversion_.router);
    const double spread = logits().std(1, false).median().item<double>();
    EXPECT_GT(spread, 0.7) << factor;
    EXPECT_LT(spread, 1.5) << factor;
    const double ratio = (logits()[0][0] / before[0][0]).item<double>();
    EXPECT_EQ(std::log2(ratio), std::round(std::log2(ratio)));
    EXPECT_TRUE(logits().equal(before * ratio));
    conversion_ = {};
  }
}

TEST_F(RidgeRouterTest, WithMeansStandingInTheDistanceFromTheMeanCounts) {
  observe(3);
  fit_ridge_router(*evidence_, RouterKind::kQuadratic, true, conversion_);
  const at::Tensor norms = contributions([](const at::Tensor& outputs, int64_t) { return outputs.mean(0); });
  EXPECT_LT(largest_difference(logits(), regressed(norms)), 1e-4);
}

TEST_F(RidgeRouterTest, BiasesBelongToTheContribution) {
  observe(3);
  const at::Tensor output_bias = at::full({kHidden}, 0.2), absent_bias = at::full({kHidden}, -0.1);
  conversion_.experts[2].output_bias = output_bias;
  conversion_.experts[2].absent_bias = absent_bias;
  fit_ridge_router(*evidence_, RouterKind::kQuadratic, false, conversion_);
  const at::Tensor wanted = contributions([&](const at::Tensor&, int64_t expert) {
    return expert == 2 ? absent_bias - output_bias : at::zeros({kHidden});
  });
  EXPECT_LT(largest_difference(logits(), regressed(wanted)), 1e-4);
}

TEST(RidgeRouterAgreementTest, IsTheShareOfChoicesThatTheContributionsShare) {
  const AdjustmentScene scene;
  LayerConversion conversion = scene.partition(true);
  const double agreement = fit_ridge_router(scene.evidence, RouterKind::kLinear, false, conversion);
  const at::Tensor logits = router_logits(conversion.router, scene.inputs());
  const at::Tensor h = gated_activations(scene.dense, scene.inputs());
  int64_t agreed = 0;
  for (int64_t token = 0; token < h.size(0); ++token) {
    std::vector<at::Tensor> norms;
    for (const ExpertSpec& expert : conversion.experts) {
      const at::Tensor own = h[token].index_select(0, expert.neurons);
      norms.push_back(scene.dense.down_proj.index_select(1, expert.neurons).mv(own).norm());
    }
    const at::Tensor best = std::get<1>(at::stack(norms).topk(2)), chosen = std::get<1>(logits[token].topk(2));
    agreed += best.unsqueeze(1).eq(chosen).sum().item<int64_t>();
  }
  EXPECT_NEAR(agreement, static_cast<double>(agreed) / static_cast<double>(2 * h.size(0)), 1e-9);
}

}  // namespace
}  // namespace moebench
