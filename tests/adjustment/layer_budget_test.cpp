#include "harness/adjustment/layer_budget.h"

#include <algorithm>
#include <cmath>
#include <random>
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

// Random laws, the same for every run.
std::vector<LayerSensitivity> random_sensitivities(int64_t num_layers, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> scale(0.1, 2), exponent(1, 3);
  std::vector<LayerSensitivity> sensitivities;
  for (int64_t layer = 0; layer < num_layers; ++layer) sensitivities.push_back({scale(random), exponent(random)});
  return sensitivities;
}

int64_t active_experts(const MoeShape& shape) { return shape.num_shared_experts + shape.top_k; }

TEST(MeasuredBudgetTest, BudgetsSumToTheShapesWithinTheRange) {
  const ActiveRange range{5, 44};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    int64_t neurons = 0;
    for (const MoeShape& layer : allocate_budgets(kShape, range, 1536, random_sensitivities(kLayers, seed))) {
      neurons += layer.active_neurons();
      EXPECT_GE(active_experts(layer), range.fewest);
      EXPECT_LE(active_experts(layer), range.most);
    }
    EXPECT_EQ(neurons, kLayers * kShape.active_neurons());
  }
}

TEST(MeasuredBudgetTest, NoOtherBudgetsOfTheSameSumMoveLess) {
  const MoeShape shape{0, 5, 8, 4};
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<LayerSensitivity> sensitivities = random_sensitivities(3, seed);
    const auto movement = [&](int64_t layer, int64_t active) {
      return sensitivities[layer].movement(static_cast<double>(8 - active) / 8);
    };
    double best = INFINITY, allocated = 0;
    for (int64_t first = 1; first <= 8; ++first) {
      for (int64_t second = 1; second <= 8; ++second) {
        const int64_t third = 15 - first - second;
        if (third < 1 || third > 8) continue;
        best = std::min(best, movement(0, first) + movement(1, second) + movement(2, third));
      }
    }
    const std::vector<MoeShape> layers = allocate_budgets(shape, {1, 8}, 32, sensitivities);
    for (int64_t layer = 0; layer < 3; ++layer) allocated += movement(layer, layers[layer].top_k);
    EXPECT_NEAR(allocated, best, 1e-12) << seed;
  }
}

TEST(MeasuredBudgetTest, EqualLayersHaveTheShape) {
  const std::vector<LayerSensitivity> equal(kLayers, {0.5, 2});
  for (const MoeShape& layer : allocate_budgets(kShape, {1, 48}, 1536, equal)) EXPECT_EQ(layer, kShape);
}

TEST(MeasuredBudgetTest, RangeEndsWhereShapesDo) {
  const LlamaConfig config{.intermediate_size = 1536};
  const auto any = [](const MoeShape&) {};
  const ActiveRange range = active_range(parse_moe_shape("S3A3E8", 1536), config, any);
  EXPECT_EQ(range.fewest, 2);  // one alone would be a shared one
  EXPECT_EQ(range.most, 8);
  const ActiveRange narrow = active_range(kShape, config, [](const MoeShape& layer) {
    if (active_experts(layer) < 30 || active_experts(layer) > 40) throw std::invalid_argument("not mine");
  });
  EXPECT_EQ(narrow.fewest, 30);
  EXPECT_EQ(narrow.most, 40);
}

TEST(MeasuredBudgetTest, ShapesWithoutRoomAreRefused) {
  const LlamaConfig config{.intermediate_size = 1536};
  for (const char* shape : {"S0A1E8", "S8A0E8"}) {
    EXPECT_THAT([&] { active_range(parse_moe_shape(shape, 1536), config, [](const MoeShape&) {}); },
                testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("more and smaller experts")));
  }
}

}  // namespace
}  // namespace moebench
