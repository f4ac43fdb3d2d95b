// Every registered method's conversion can be retrained. A new method is tested by being registered.
#include <cmath>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/converter.h"
#include "harness/evidence/evidence_pass.h"
#include "harness/retraining/recipe.h"
#include "harness/retraining/retrainer.h"
#include "tests/retraining/retrain_scene.h"

namespace moebench {
namespace {

LlamaConfig test_config() {
  LlamaConfig config = tiny_llama_config();
  config.intermediate_size = 64;
  return config;
}

class MethodRetraining : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const auto& entry = ConverterRegistry::instance().find(GetParam());
    converter_ = entry.create(nlohmann::json::object());
    const CalibrationText text{{"text"}, {random_ids(4, 40, 1)}, "random"};
    const nlohmann::json metadata = {{"method", GetParam()}, {"options", entry.resolve(nlohmann::json::object())}};
    conversion_ = convert_all(checkpoint_, {}, &text,
                              {{.converter = converter_.get(), .shape = published_shape(), .metadata = metadata}})
                      .front();
  }

  // The first of the usual ratios that the method has a layout for.
  MoeShape published_shape() const {
    for (const double ratio : {0.75, 0.5, 0.25, 1.0}) {
      try {
        return converter_->shape_for(ratio, checkpoint_.config());
      } catch (const std::invalid_argument&) {
      }
    }
    ADD_FAILURE() << "no layout at any usual ratio";
    return {};
  }

  void expect_sound_retraining(RetrainRecipe recipe) const {
    change_recipe(recipe, {{"tokens_a_step", 80}});
    const RetrainRequest request{.checkpoint = checkpoint_,
                                 .conversion = conversion_,
                                 .recipe = recipe,
                                 .ids = random_ids(1, 400)[0],
                                 .window = 40,
                                 .marks = {320}};
    Conversion retrained;
    retrain(request, [&](int64_t, const Conversion& conversion) { retrained = conversion; });
    EXPECT_TRUE(std::isfinite(retrained.metadata["retraining"]["curve"].back()["loss"].get<double>()));
    const at::Tensor hidden = applied_hidden(checkpoint_, retrained, random_ids(1, 40));
    EXPECT_TRUE(hidden.isfinite().all().item<bool>());
    EXPECT_GT(largest_difference(hidden, applied_hidden(checkpoint_, conversion_, random_ids(1, 40))), 0);
  }

  const MemoryCheckpoint checkpoint_{test_config()};
  std::unique_ptr<Converter> converter_;
  Conversion conversion_;
};

INSTANTIATE_TEST_SUITE_P(Registered, MethodRetraining, testing::ValuesIn(ConverterRegistry::instance().names()),
                         [](const auto& info) { return info.param; });

TEST_P(MethodRetraining, CommonRecipeStaysFinite) { expect_sound_retraining(recipe_for("common", {})); }

TEST_P(MethodRetraining, RouterWarmUpStaysFinite) { expect_sound_retraining(recipe_for("common_warm_up", {})); }

TEST_P(MethodRetraining, PublishedRecipeStaysFinite) {
  if (converter_->retrain_recipe().empty()) {
    EXPECT_THAT([&] { recipe_for("published", conversion_.metadata); },
                testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("common")));
    return;
  }
  expect_sound_retraining(recipe_for("published", conversion_.metadata));
}

TEST(CmoeRecipeTest, ExpertScaleTrainsAsInThePaperAndStaysAsInTheReleasedCode) {
  const auto recipe_of = [](const std::string& variant) {
    return ConverterRegistry::instance().find("cmoe").create({{"train_expert_scale", variant}})->retrain_recipe();
  };
  EXPECT_TRUE(recipe_of("paper").front().expert_scale);
  EXPECT_FALSE(recipe_of("released").front().expert_scale);
}

}  // namespace
}  // namespace moebench
