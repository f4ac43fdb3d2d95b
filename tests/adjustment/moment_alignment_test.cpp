#include "harness/adjustment/moment_alignment.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/adjustment/adjustment_scene.h"

namespace moebench {
namespace {

TEST(MomentAlignmentTest, EveryChannelHasTheDenseMeanAndVariance) {
  const at::Tensor wanted = scene.dense_output().to(at::kDouble);
  for (auto [name, conversion] : scene.mixtures()) {
    const at::Tensor before = scene.output(conversion).to(at::kDouble);
    EXPECT_GT(largest_difference(before.var(0), wanted.var(0)), 1e-3) << name;
    align_moments(scene.evidence, conversion);
    const at::Tensor after = scene.output(conversion).to(at::kDouble);
    EXPECT_LT(largest_difference(after.mean(0), wanted.mean(0)), 1e-5) << name;
    EXPECT_LT(largest_difference(after.var(0), wanted.var(0)), 1e-5) << name;
  }
}

TEST(MomentAlignmentTest, WithoutAConstantSumOfWeightsTheMeanIsStillRight) {
  LayerConversion conversion = scene.partition(false);
  conversion.rule = {.softmax = RoutingRule::Softmax::kBeforeTopK, .weights = RoutingRule::Weights::kScores};
  align_moments(scene.evidence, conversion);
  EXPECT_LT(largest_difference(scene.output(conversion).mean(0), scene.dense_output().mean(0)), 1e-5);
}

TEST(MomentAlignmentTest, ChannelsThatNeverVaryStayFinite) {
  LayerConversion conversion = scene.partition(true);
  const at::Tensor silent = at::zeros({AdjustmentScene::kHidden, 8});
  conversion.shared->down_proj = silent;
  for (ExpertSpec& expert : conversion.experts) expert.down_proj = silent.narrow(1, 0, 4).clone();
  align_moments(scene.evidence, conversion);
  EXPECT_LT(largest_difference(scene.output(conversion).mean(0), scene.dense_output().mean(0)), 1e-5);
}

}  // namespace
}  // namespace moebench
