#include "harness/adjustment/layer_budget.h"

#include <cmath>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

constexpr int64_t kLayers = 30;
const MoeShape kShape = parse_moe_shape("S12A24E48", 1536);

TEST(LayerBudgetTest, BudgetsSumToTheShapes) {
  for (const double slope : {0.1, 0.25, 0.3, -0.2}) {
    for (const MoeShape& shape : {kShape, parse_moe_shape("S24A48E96", 1536), parse_moe_shape("S3A3E8", 1536)}) {
      int64_t neurons = 0;
      for (int64_t layer = 0; layer < kLayers; ++layer) {
        neurons += layer_shape(shape, slope, layer, kLayers).active_neurons();
      }
      EXPECT_EQ(neurons, kLayers * shape.active_neurons()) << slope;
    }
  }
}

TEST(LayerBudgetTest, BudgetsFallFromTheFirstLayerToTheLast) {
  for (int64_t layer = 1; layer < kLayers; ++layer) {
    const MoeShape before = layer_shape(kShape, 0.3, layer - 1, kLayers),
                   here = layer_shape(kShape, 0.3, layer, kLayers);
    EXPECT_LE(here.num_shared_experts, before.num_shared_experts);
    EXPECT_LE(here.top_k, before.top_k);
  }
  // 36 (1 + 0.3) = 46.8 and 36 (1 - 0.3) = 25.2, a third of them shared.
  EXPECT_EQ(layer_shape(kShape, 0.3, 0, kLayers), (MoeShape{16, 31, 48, 32}));
  EXPECT_EQ(layer_shape(kShape, 0.3, kLayers - 1, kLayers), (MoeShape{8, 17, 48, 32}));
}

TEST(LayerBudgetTest, WithoutSlopeEveryLayerHasTheShape) {
  for (const int64_t layer : {0, 7, 29}) EXPECT_EQ(layer_shape(kShape, 0, layer, kLayers), kShape);
  EXPECT_EQ(layer_shape(kShape, 0.5, 0, 1), kShape);
}

TEST(LayerBudgetTest, SlopesThatDoNotFitAreRefused) {
  const LlamaConfig config{.intermediate_size = 1536, .num_layers = kLayers};
  EXPECT_NO_THROW(check_layer_shapes(kShape, 0.3, config));
  EXPECT_THAT([&] { check_layer_shapes(kShape, 0.4, config); },  // 50 of 48
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("choose a smaller")));
  EXPECT_THAT([&] { check_layer_shapes(parse_moe_shape("S0A1E8W768", 1536), 0.3, config); },  // 1.3 of an expert
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("changes no layer")));
}

}  // namespace
}  // namespace moebench
