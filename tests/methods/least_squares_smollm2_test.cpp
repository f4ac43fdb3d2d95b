// Whole conversions of SmolLM2-135M by closed forms against the prototype's perplexities (README of the reference
// outputs, sections D and E: products in bf16 there and fp32 here).
#include <optional>

#include <gtest/gtest.h>

#include "tests/methods/layer_scene.h"
#include "tests/methods/smollm2_scene.h"

namespace moebench {
namespace {

class LeastSquaresSmollm2Test : public testing::Test {
 protected:
  void SetUp() override {
    scene_ = Smollm2Scene::open();
    if (!scene_) {
      GTEST_SKIP() << "no SmolLM2-135M (scripts/fetch fetches it) or no reference outputs beside the repository "
                      "(../shared/golden/methods)";
    }
  }

  double perplexity(const nlohmann::json& options, const std::string& shape, int64_t num_blocks) const {
    const MoeShape parsed = parse_moe_shape(shape, scene_->checkpoint().config().intermediate_size);
    const Conversion conversion = scene_->convert(*make_converter("least_squares_moe", options), parsed);
    const double perplexity = scene_->perplexity(conversion, num_blocks);
    RecordProperty("perplexity", std::to_string(perplexity));
    return perplexity;
  }

  std::optional<Smollm2Scene> scene_;
};

TEST_F(LeastSquaresSmollm2Test, EightExpertsReachThePrototype) {
  EXPECT_NEAR(perplexity({}, "S3A3E8", 5), 35.537, 0.03 * 35.537);
}

TEST_F(LeastSquaresSmollm2Test, FortyEightExpertsWithBudgetsReachThePrototype) {
  EXPECT_NEAR(perplexity({{"budget_slope", 0.3}}, "S12A24E48", 10), 26.79, 0.03 * 26.79);
}

}  // namespace
}  // namespace moebench
