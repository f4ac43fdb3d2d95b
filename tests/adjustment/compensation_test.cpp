#include "harness/adjustment/compensation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "tests/adjustment/adjustment_scene.h"

namespace moebench {
namespace {

const AdjustmentScene weighted_scene("residual");

TEST(RelativeErrorTest, WeighsTokensByTheStreamTheyJoin) {
  const LayerConversion conversion = scene.partition(true);
  const at::Tensor difference = scene.output(conversion) - scene.dense_output();
  const at::Tensor plain = difference.square().sum() / scene.dense_output().square().sum();
  EXPECT_NEAR(relative_error(scene.evidence, conversion), plain.item<double>(), 1e-6);
  // The scene's residual is three times the inputs.
  const at::Tensor stream = (3 * scene.inputs() + scene.dense_output()).norm(2, {1}, /*keepdim=*/true);
  const at::Tensor weighted = (difference / stream).square().sum() / (scene.dense_output() / stream).square().sum();
  EXPECT_NEAR(relative_error(weighted_scene.evidence, conversion), weighted.item<double>(), 1e-6);
  EXPECT_GT(std::abs((weighted - plain).item<double>()), 1e-4);
}

TEST(MeanCompensationTest, MeanOutputIsTheDenseOne) {
  for (auto [name, conversion] : scene.mixtures()) {
    const at::Tensor wanted = scene.dense_output().mean(0);
    EXPECT_GT(largest_difference(scene.output(conversion).mean(0), wanted), 1e-3) << name;
    compensate_means(scene.evidence, conversion);
    EXPECT_LT(largest_difference(scene.output(conversion).mean(0), wanted), 1e-5) << name;
  }
}

TEST(MeanCompensationTest, AbsentBiasIsTheMeanOutputOfTokensThatStayAway) {
  LayerConversion conversion = scene.partition(true);
  const MoeLayer layer(scene.dense, conversion);
  const at::Tensor inputs = scene.inputs(), experts = layer.route(inputs).experts;
  compensate_means(scene.evidence, conversion);
  for (int64_t expert = 0; expert < 4; ++expert) {
    const at::Tensor& neurons = conversion.experts[expert].neurons;
    at::Tensor sum = at::zeros({AdjustmentScene::kHidden}, at::kDouble);
    int64_t count = 0;
    for (int64_t token = 0; token < inputs.size(0); ++token) {
      if (experts[token].eq(expert).any().item<bool>()) continue;
      const at::Tensor h = gated_activations(scene.dense, inputs[token].unsqueeze(0)).squeeze(0);
      sum += scene.dense.down_proj.index_select(1, neurons).mv(h.index_select(0, neurons)).to(at::kDouble);
      ++count;
    }
    EXPECT_LT(largest_difference(*conversion.experts[expert].absent_bias, sum / count), 1e-6);
  }
  // They are all that was missing.
  EXPECT_LT(conversion.shared->output_bias->abs().max().item<double>(), 1e-6);
}

TEST(RefitTest, ErrorsAreThoseOfTheConversionsBeforeAndAfter) {
  for (const AdjustmentScene* of : {&scene, &weighted_scene}) {
    for (auto [name, conversion] : of->mixtures()) {
      const double before = relative_error(of->evidence, conversion);
      const RefitErrors errors = refit_outputs(of->evidence, 0.01, conversion);
      EXPECT_NEAR(errors.before, before, 1e-5 * before) << name;
      EXPECT_NEAR(errors.after, relative_error(of->evidence, conversion), 1e-5 * before) << name;
    }
  }
}

TEST(RefitTest, NeverLeavesALargerErrorThanNoRefit) {
  for (const AdjustmentScene* of : {&scene, &weighted_scene}) {
    for (auto [name, conversion] : of->mixtures()) {
      for (const double ridge : {1e-9, 1e-2, 1.0}) {
        LayerConversion refitted = conversion;
        const RefitErrors errors = refit_outputs(of->evidence, ridge, refitted);
        EXPECT_LT(errors.after, errors.before) << name << " " << ridge;
      }
    }
  }
}

TEST(RefitTest, BeatsMeanCompensation) {
  for (const auto& [name, conversion] : scene.mixtures()) {
    LayerConversion refitted = conversion, compensated = conversion;
    refit_outputs(scene.evidence, 1e-6, refitted);
    compensate_means(scene.evidence, compensated);
    EXPECT_LT(relative_error(scene.evidence, refitted), relative_error(scene.evidence, compensated)) << name;
  }
}

TEST(RefitTest, WithEverythingActiveNothingChanges) {
  for (const bool with_shared : {true, false}) {
    LayerConversion conversion = scene.partition(with_shared);
    conversion.top_k = static_cast<int64_t>(conversion.experts.size());
    refit_outputs(scene.evidence, 0.01, conversion);
    EXPECT_LT(largest_difference(scene.output(conversion), scene.dense_output()), 1e-5);
    for (const ExpertSpec& expert : conversion.experts) {
      const at::Tensor old = scene.dense.down_proj.index_select(1, expert.neurons);
      EXPECT_LT(largest_difference(*expert.down_proj, old), 1e-5);
      EXPECT_FALSE(expert.absent_bias);
    }
  }
}

TEST(RefitTest, NeuronsThatActiveOnesDetermineAreMadeUpFor) {
  // Every neuron of the routed experts doubles one of the shared expert's, so what is visited hardly matters.
  GatedMlpWeights dense = random_mlp(AdjustmentScene::kNeurons, AdjustmentScene::kHidden, 1);
  for (int64_t first : {8, 16}) {
    dense.gate_proj.narrow(0, first, 8).copy_(dense.gate_proj.narrow(0, 0, 8));
    dense.up_proj.narrow(0, first, 8).copy_(2 * dense.up_proj.narrow(0, 0, 8));
  }
  LayerEvidence evidence(dense, "none");
  for (const at::Tensor& inputs : scene.windows) {
    const Window window(dense, inputs);
    evidence.observe(window.chunk());
  }
  LayerConversion conversion = scene.partition(true);
  EXPECT_GT(relative_error(evidence, conversion), 0.1);
  refit_outputs(evidence, 1e-9, conversion);
  EXPECT_LT(relative_error(evidence, conversion), 1e-8);
}

}  // namespace
}  // namespace moebench
