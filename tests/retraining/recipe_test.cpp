#include "harness/retraining/recipe.h"

#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/retraining/training_schedule.h"

namespace moebench {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const nlohmann::json kNobody = nlohmann::json::object();

TEST(RecipeTest, CommonTrainsExpertsByLowRankAndRoutersAndNormsInFull) {
  const RetrainRecipe recipe = recipe_for("common", kNobody);
  ASSERT_EQ(recipe.size(), 1U);
  EXPECT_EQ(recipe[0].experts, Training::kLowRank);
  EXPECT_EQ(recipe[0].attention, Training::kFrozen);
  EXPECT_TRUE(recipe[0].router && recipe[0].norms);
  EXPECT_NO_THROW(check_recipe(recipe));
}

TEST(RecipeTest, WarmUpComesFirstAndMixesDenselyWithNothingButRouters) {
  const RetrainRecipe recipe = recipe_for("common_warm_up", kNobody);
  ASSERT_EQ(recipe.size(), 2U);
  EXPECT_TRUE(recipe[0].visit_all);
  EXPECT_EQ(recipe[0].experts, Training::kFrozen);
  EXPECT_FALSE(recipe[1].visit_all);
  EXPECT_NO_THROW(check_recipe(recipe));
}

TEST(RecipeTest, UnknownNamesAndUnknownMakersAreRefused) {
  EXPECT_THAT(
      [] {
        recipe_for("comon", {{"method", "dense"}});
      },
      ThrowsMessage<std::invalid_argument>(HasSubstr("dense")));
  EXPECT_THAT([] { recipe_for("published", kNobody); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("which method")));
}

TEST(RecipeTest, FieldsAreChangedInAllStagesOrInOne) {
  RetrainRecipe recipe = recipe_for("common_warm_up", kNobody);
  change_recipe(recipe, {{"learning_rate", 0.5}, {"experts.attention", "low_rank"}, {"router.noise", "dive"}});
  EXPECT_EQ(recipe[0].learning_rate, 0.5);
  EXPECT_EQ(recipe[1].learning_rate, 0.5);
  EXPECT_EQ(recipe[0].attention, Training::kFrozen);
  EXPECT_EQ(recipe[1].attention, Training::kLowRank);
  EXPECT_EQ(recipe[0].noise, RetrainStage::Noise::kDive);
}

TEST(RecipeTest, WrongChangesAreRefusedByName) {
  RetrainRecipe recipe = recipe_for("common", kNobody);
  const auto refused = [&](const nlohmann::json& settings, const char* reason) {
    EXPECT_THAT([&] { change_recipe(recipe, settings); }, ThrowsMessage<std::invalid_argument>(HasSubstr(reason)));
  };
  refused({{"learning_rat", 1}}, "learning_rate");
  refused({{"expert.rank", 1}}, "experts");
  refused({{"rank", 0.5}}, "whole number");
  refused({{"schedule", "cosin"}}, "cosine");
}

TEST(RecipeTest, EveryFieldReachesItsJson) {
  RetrainRecipe recipe = recipe_for("common", kNobody);
  const nlohmann::json before = recipe_to_json(recipe);
  for (const auto& [field, value] : before[0].items()) {
    if (field == "name") continue;
    RetrainRecipe changed = recipe;
    const nlohmann::json other = value.is_boolean()          ? nlohmann::json(!value.get<bool>())
                                 : value.is_number_integer() ? nlohmann::json(value.get<int64_t>() + 1)
                                 : value.is_number()         ? nlohmann::json(value.get<double>() + 1)
                                 : field == "schedule"       ? nlohmann::json("constant")
                                 : field == "noise"          ? nlohmann::json("dive")
                                                             : nlohmann::json("full");
    change_recipe(changed, {{field, other}});
    EXPECT_EQ(recipe_to_json(changed)[0][field], other) << field;
  }
}

TEST(RecipeTest, ImpossibleValuesAreRefusedWithStageAndField) {
  const auto refused = [](const nlohmann::json& settings, const char* field) {
    RetrainRecipe recipe = recipe_for("common", kNobody);
    change_recipe(recipe, settings);
    EXPECT_THAT([&] { check_recipe(recipe); }, ThrowsMessage<std::invalid_argument>(HasSubstr(field)));
  };
  refused({{"rank", 0}}, "rank");
  refused({{"token_share", 0.5}}, "token_share");
  refused({{"learning_rate", -1.0}}, "learning_rate");
  refused({{"learning_rate", 0.0}}, "trains nothing");
  refused({{"dropout", 1.0}}, "dropout");
  refused({{"temperature", 0.0}}, "temperature");
  refused({{"tokens_a_step", 0}}, "tokens_a_step");
}

TEST(RecipeTest, ADescriptionHasTheFieldsOfAStageAndAStagesChangesAreThoseItMakes) {
  const nlohmann::json stage = recipe_to_json(recipe_for("common", kNobody))[0];
  for (const OptionDescription& field : describe_recipe_fields()) {
    EXPECT_TRUE(stage.contains(field.name) && !field.help.empty()) << field.name;
  }
  EXPECT_EQ(describe_recipe_fields().size(), stage.size() - 1) << "all but the name";
  EXPECT_EQ(changed_fields({.name = "any", .norms = true}), kNobody);
  EXPECT_EQ(changed_fields({.experts = Training::kFrozen, .norms = true, .rank = 4}),
            nlohmann::json::parse(R"({"experts": "frozen", "rank": 4})"));
}

TEST(RateFactorTest, WarmsUpLinearlyAndFallsAlongACosineToItsFloor) {
  const RetrainStage stage{.warm_up_share = 0.1, .floor_share = 0.1};
  EXPECT_DOUBLE_EQ(rate_factor(stage, 0, 40), 0.25);
  EXPECT_DOUBLE_EQ(rate_factor(stage, 3, 40), 1);
  EXPECT_DOUBLE_EQ(rate_factor(stage, 4, 40), 1);
  EXPECT_DOUBLE_EQ(rate_factor(stage, 22, 40), 0.55);  // half-way
  EXPECT_GT(rate_factor(stage, 39, 40), 0.1);
  EXPECT_LT(rate_factor(stage, 39, 40), 0.103);
}

TEST(RateFactorTest, StaysConstantAfterTheWarmUp) {
  const RetrainStage stage{.schedule = RetrainStage::Schedule::kConstant, .warm_up_share = 0};
  EXPECT_DOUBLE_EQ(rate_factor(stage, 0, 3), 1);
  EXPECT_DOUBLE_EQ(rate_factor(stage, 2, 3), 1);
}

}  // namespace
}  // namespace moebench
