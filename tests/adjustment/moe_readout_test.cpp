#include "harness/adjustment/moe_readout.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/adjustment/adjustment_scene.h"

namespace moebench {
namespace {

TEST(MoeReadoutTest, FeaturesTimesRowsAreTheLayersOutput) {
  for (const auto& [name, conversion] : scene.mixtures()) {
    const MoeReadout readout(scene.dense, conversion);
    const at::Tensor features = readout.features(scene.inputs());
    EXPECT_EQ(features.size(1), readout.num_features()) << name;
    const at::Tensor output = features.to(at::kDouble).matmul(readout.rows());
    EXPECT_LT(largest_difference(output, scene.output(conversion)), 1e-5) << name;
  }
}

TEST(MoeReadoutTest, LayerWithOtherRowsGivesFeaturesTimesThose) {
  for (const auto& [name, conversion] : scene.mixtures()) {
    const MoeReadout readout(scene.dense, conversion);
    const at::Tensor rows =
        random_windows(1, readout.num_features(), AdjustmentScene::kHidden, 7).front().to(at::kDouble);
    const at::Tensor output = readout.features(scene.inputs()).to(at::kDouble).matmul(rows);
    EXPECT_LT(largest_difference(output, scene.output(readout.with_rows(rows))), 1e-4) << name;
  }
}

TEST(MoeReadoutTest, BiasesAreTheLastFeatures) {
  const MoeReadout with_shared(scene.dense, scene.partition(true));
  EXPECT_EQ(with_shared.num_biases(), 4 + 1);  // an absent one each, and the shared expert's
  EXPECT_EQ(with_shared.num_features(), AdjustmentScene::kNeurons + 5);
  const MoeReadout routed_only(scene.dense, scene.partition(false));
  EXPECT_EQ(routed_only.num_biases(), 6);  // an output bias each
  EXPECT_EQ(routed_only.num_features(), AdjustmentScene::kNeurons + 6);
}

}  // namespace
}  // namespace moebench
