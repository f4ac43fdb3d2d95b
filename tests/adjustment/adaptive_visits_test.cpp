#include "harness/adjustment/adaptive_visits.h"

#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/adjustment/ridge_router.h"
#include "harness/model/moe_layer.h"
#include "tests/adjustment/adjustment_scene.h"

namespace moebench {
namespace {

using Visits = RoutingRule::Visits;

class AdaptiveVisitsTest : public testing::TestWithParam<Visits> {
 protected:
  // Experts that each token visits, [tokens].
  at::Tensor visited(const LayerConversion& conversion) const {
    return MoeLayer(scene.dense, conversion).route(scene.inputs()).visited.sum(1);
  }
};

INSTANTIATE_TEST_SUITE_P(Rules, AdaptiveVisitsTest, testing::Values(Visits::kThreshold, Visits::kCumulativeMass),
                         [](const auto& info) { return info.param == Visits::kThreshold ? "threshold" : "mass"; });

TEST_P(AdaptiveVisitsTest, AsManyOnAverageAsTopKWas) {
  for (const int64_t top_k : {1, 2, 3}) {
    LayerConversion conversion = scene.partition(true);
    conversion.top_k = top_k;
    calibrate_visits(scene.evidence, GetParam(), conversion);
    const double mean = visited(conversion).to(at::kDouble).mean().item<double>();
    // One token's expert more or less.
    EXPECT_NEAR(mean, static_cast<double>(top_k), 1.5 / static_cast<double>(scene.evidence.num_tokens()));
    EXPECT_EQ(conversion.mean_visits, mean);
    EXPECT_EQ(conversion.top_k, 4);
    EXPECT_GT(conversion.rule.level, 0);
    EXPECT_LE(conversion.rule.level, 1);
  }
}

TEST_P(AdaptiveVisitsTest, TokensDiffer) {
  LayerConversion conversion = scene.partition(true);
  calibrate_visits(scene.evidence, GetParam(), conversion);
  const at::Tensor counts = visited(conversion);
  EXPECT_LT(counts.min().item<int64_t>(), 2);
  EXPECT_GT(counts.max().item<int64_t>(), 2);
}

TEST_P(AdaptiveVisitsTest, WhereAllAreVisitedNothingChanges) {
  LayerConversion conversion = scene.partition(true);
  conversion.top_k = 4;
  calibrate_visits(scene.evidence, GetParam(), conversion);
  EXPECT_EQ(conversion.rule.visits, Visits::kTopK);
}

TEST_P(AdaptiveVisitsTest, ARidgeRouterOfHugeOutputsVisitsAsManyAsTopKWas) {
  GatedMlpWeights dense = scene.dense;
  dense.down_proj = dense.down_proj * 1e5;
  LayerEvidence evidence(dense, "none");
  for (const at::Tensor& inputs : scene.windows) evidence.observe(Window(dense, inputs).chunk());
  LayerConversion conversion = scene.partition(true);
  fit_ridge_router(evidence, RouterKind::kQuadratic, false, conversion);
  scale_to_unit_spread(evidence, conversion.router);
  calibrate_visits(evidence, GetParam(), conversion);
  const double mean =
      MoeLayer(dense, conversion).route(scene.inputs()).visited.sum(1).to(at::kDouble).mean().item<double>();
  EXPECT_NEAR(mean, 2, 1.5 / static_cast<double>(evidence.num_tokens()));
}

TEST(AdaptiveVisitsErrorTest, ScoresTooFarApartForAThresholdAreRefusedWithTheWayOut) {
  LayerConversion conversion = scene.partition(true);
  conversion.router.tensors.at("weight").mul_(1e6);
  EXPECT_THAT([&] { calibrate_visits(scene.evidence, Visits::kThreshold, conversion); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("set router = ridge")));
}

TEST_P(AdaptiveVisitsTest, OracleIsRefused) {
  LayerConversion conversion = scene.partition(true);
  conversion.router = {.kind = RouterKind::kOracle};
  EXPECT_THROW(calibrate_visits(scene.evidence, GetParam(), conversion), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
