#include "harness/retraining/retrainer.h"

#include <cmath>
#include <map>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/interrupt.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/retraining/retrain_scene.h"

namespace moebench {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// Two stages that use all there is: dropout, noise, balance, a selection bias and several batches of windows.
RetrainRecipe rich_recipe() {
  RetrainStage router{.name = "router",
                      .token_share = 0.4,
                      .experts = Training::kFrozen,
                      .tokens_a_step = 32,
                      .visit_all = true,
                      .noise = RetrainStage::Noise::kDive};
  RetrainStage experts{.name = "experts",
                       .token_share = 0.6,
                       .attention = Training::kLowRank,
                       .norms = true,
                       .rank = 2,
                       .dropout = 0.1,
                       .learning_rate = 1e-3,
                       .tokens_a_step = 48,
                       .noise = RetrainStage::Noise::kLlamaMoe,
                       .importance_and_load = 0.01,
                       .selection_bias_step = 1e-3};
  return {router, experts};
}

RetrainRecipe simple_recipe(double learning_rate) {
  return {{.name = "experts", .norms = true, .learning_rate = learning_rate, .tokens_a_step = 64}};
}

class RetrainerTest : public testing::Test {
 protected:
  RetrainRequest request(const Conversion& conversion, RetrainRecipe recipe, std::vector<int64_t> marks) const {
    return {.checkpoint = checkpoint_,
            .conversion = conversion,
            .recipe = std::move(recipe),
            .ids = repetitive_text(400),
            .window = 16,
            .marks = std::move(marks)};
  }
  static std::map<int64_t, Conversion> run(const RetrainRequest& request) {
    std::map<int64_t, Conversion> at_marks;
    retrain(request, [&](int64_t mark, const Conversion& conversion) { at_marks[mark] = conversion; });
    return at_marks;
  }
  // The bytes of its file without what a clock says.
  std::string saved(Conversion conversion) const {
    nlohmann::json& retraining = conversion.metadata["retraining"];
    retraining.erase("seconds");
    retraining.erase("peak_memory_bytes");
    for (nlohmann::json& point : retraining["curve"]) point.erase("tokens_per_second");
    save_conversion(conversion, folder_ / "conversion.safetensors");
    return read_file(folder_ / "conversion.safetensors");
  }

  const MemoryCheckpoint checkpoint_{tiny_llama_config()};
  const Conversion mixture_ = linear_mixture(1);
  const TemporaryFolder folder_;
};

TEST_F(RetrainerTest, LossFallsOnATextThatRepeatsItself) {
  const Conversion trained = run(request(mixture_, simple_recipe(1e-2), {3000})).at(3000);
  const nlohmann::json& curve = trained.metadata["retraining"]["curve"];
  EXPECT_LT(curve.back()["loss"].get<double>(), 0.5 * curve.front()["loss"].get<double>());
  EXPECT_EQ(curve.size(), 46U);  // steps of 64 tokens
}

TEST_F(RetrainerTest, RecordsWhatItDid) {
  const Conversion trained = run(request(mixture_, rich_recipe(), {300})).at(300);
  const nlohmann::json& retraining = trained.metadata["retraining"];
  EXPECT_EQ(retraining["tokens"], 3 * 32 + 3 * 48);  // of 120 and 180 tokens
  EXPECT_EQ(retraining["recipe"].size(), 2U);
  EXPECT_GT(retraining["peak_memory_bytes"].get<int64_t>(), 0);
  const nlohmann::json& point = retraining["curve"].back();
  EXPECT_EQ(point["stage"], "experts");
  EXPECT_EQ(point["tokens"], retraining["tokens"]);
  for (const char* field : {"loss", "balance", "gradient_norm", "tokens_per_second"}) {
    EXPECT_GT(point[field].get<double>(), 0) << field;
  }
  ASSERT_EQ(retraining["load"].size(), 2U);
  double sum = 0;
  for (const nlohmann::json& share : retraining["load"][1]) sum += share.get<double>();
  EXPECT_NEAR(sum, 1, 1e-9);
}

TEST_F(RetrainerTest, SameSeedGivesTheSameBitsAndAnotherSeedOthers) {
  RetrainRequest one = request(mixture_, rich_recipe(), {300});
  const std::string bytes = saved(run(one).at(300));
  EXPECT_EQ(saved(run(one).at(300)), bytes);
  one.activation_checkpointing = true;
  EXPECT_EQ(saved(run(one).at(300)), bytes);
  one.seed = 1;
  EXPECT_NE(saved(run(one).at(300)), bytes);
}

TEST_F(RetrainerTest, InterruptedAnywhereAndResumedGivesTheBitsOfOneRun) {
  RetrainRequest whole = request(mixture_, rich_recipe(), {200, 300});
  const std::map<int64_t, Conversion> expected = run(whole);
  for (int64_t interrupted_at = 1; interrupted_at <= 6; ++interrupted_at) {
    SCOPED_TRACE("after step " + std::to_string(interrupted_at));
    RetrainRequest part = request(mixture_, rich_recipe(), {200, 300});
    part.state_file = folder_ / ("state" + std::to_string(interrupted_at));
    std::map<int64_t, std::string> at_marks;
    const auto keep = [&](int64_t mark, const Conversion& conversion) { at_marks[mark] = saved(conversion); };
    part.progress = [&](const RetrainProgress& progress) {
      if (progress.step == interrupted_at) throw Interrupted(15);
    };
    EXPECT_THROW(retrain(part, keep), Interrupted);
    part.progress = {};
    retrain(part, keep);
    EXPECT_EQ(at_marks.at(200), saved(expected.at(200)));
    EXPECT_EQ(at_marks.at(300), saved(expected.at(300)));
  }
}

TEST_F(RetrainerTest, MarksGetTheStepsThatFitIntoThem) {
  const auto at_marks = run(request(mixture_, simple_recipe(1e-3), {10, 130, 320}));
  const auto tokens = [&](int64_t mark) { return at_marks.at(mark).metadata["retraining"]["tokens"].get<int64_t>(); };
  EXPECT_EQ(tokens(10), 64);  // one step at least
  EXPECT_EQ(tokens(130), 128);
  EXPECT_EQ(tokens(320), 320);
}

TEST_F(RetrainerTest, EarlierMarksDoNotChangeTheLastOne) {
  const auto one = run(request(mixture_, rich_recipe(), {300})),
             several = run(request(mixture_, rich_recipe(), {100, 200, 300}));
  EXPECT_EQ(saved(one.at(300)), saved(several.at(300)));
}

TEST_F(RetrainerTest, StateOfAnotherRequestIsRefusedByName) {
  RetrainRequest first = request(mixture_, simple_recipe(1e-3), {128});
  first.state_file = folder_ / "state";
  first.progress = [](const RetrainProgress&) { throw Interrupted(15); };
  EXPECT_THROW(run(first), Interrupted);
  RetrainRequest other = request(mixture_, simple_recipe(1e-3), {128});
  other.state_file = first.state_file;
  other.seed = 1;
  EXPECT_THAT([&] { run(other); }, ThrowsMessage<std::runtime_error>(
                                       testing::AllOf(HasSubstr(first.state_file.string()), HasSubstr("seed"))));
}

TEST_F(RetrainerTest, DivergenceStopsTheRunAndNamesTheStep) {
  EXPECT_THAT([&] { run(request(mixture_, simple_recipe(1e30), {640})); },
              ThrowsMessage<std::runtime_error>(
                  testing::AllOf(HasSubstr("step"), HasSubstr("'experts'"), HasSubstr("learning_rate"))));
}

TEST_F(RetrainerTest, DivergenceThatStaysFiniteHandsOutNothing) {
  const Conversion learned = run(request(mixture_, simple_recipe(1e-2), {3200})).at(3200);
  ASSERT_LT(learned.metadata["retraining"]["curve"].back()["loss"].get<double>(), std::log(67.0) - 0.1);
  EXPECT_THAT([&] { run(request(learned, simple_recipe(1e6), {640})); },
              ThrowsMessage<std::runtime_error>(testing::AllOf(HasSubstr("guessing"), HasSubstr("learning_rate"))));
}

TEST_F(RetrainerTest, DivergenceInTheOnlyStepHandsOutNothing) {
  const Conversion learned = run(request(mixture_, simple_recipe(1e-2), {3200})).at(3200);
  EXPECT_THAT([&] { run(request(learned, simple_recipe(1e6), {64})); },
              ThrowsMessage<std::runtime_error>(HasSubstr("guessing")));
  EXPECT_THAT(run(request(learned, simple_recipe(1e-3), {64})), testing::SizeIs(1));
}

TEST_F(RetrainerTest, DivergenceLeavesNoStateInTheWayOfAnotherRecipe) {
  const Conversion learned = run(request(mixture_, simple_recipe(1e-2), {3200})).at(3200);
  RetrainRequest diverging = request(learned, simple_recipe(1e6), {640});
  diverging.state_file = folder_ / "state";
  diverging.progress = [](const RetrainProgress&) { throw Interrupted(15); };
  EXPECT_THROW(run(diverging), Interrupted);
  EXPECT_TRUE(std::filesystem::exists(diverging.state_file));
  diverging.progress = nullptr;
  EXPECT_THAT([&] { run(diverging); }, ThrowsMessage<std::runtime_error>(HasSubstr("guessing")));
  EXPECT_FALSE(std::filesystem::exists(diverging.state_file));
}

TEST_F(RetrainerTest, DivergenceOfAnEarlierStageHandsOutNothing) {
  const Conversion learned = run(request(mixture_, simple_recipe(1e-2), {3200})).at(3200);
  RetrainRecipe recipe = simple_recipe(1e6);
  recipe.push_back({.name = "after", .token_share = 0.5, .learning_rate = 1e-9, .tokens_a_step = 64});
  recipe.front().token_share = 0.5;
  EXPECT_THAT([&] { run(request(learned, recipe, {1280})); }, ThrowsMessage<std::runtime_error>(HasSubstr("guessing")));
}

// Two experts whose outputs are huge and cancel where both are visited alike.
TEST_F(RetrainerTest, AStageThatRoutesOtherwiseAndBeginsWorseHasNotDiverged) {
  Conversion cancelling = mixture_;
  for (LayerConversion& layer : cancelling.layers) {
    const at::Tensor gate = at::ones({4, 32}), down = at::linspace(-90, 90, 32 * 4).view({32, 4}).sin() * 1000;
    layer.experts = {{.own_weights = GatedMlpWeights{gate, gate, down}},
                     {.own_weights = GatedMlpWeights{gate, gate, -down}}};
    layer.router.tensors["weight"] = layer.router.tensors["weight"].narrow(0, 0, 2).clone();
  }
  RetrainStage mixing{.name = "mixing",
                      .experts = Training::kFrozen,
                      .attention = Training::kFull,
                      .router = false,
                      .norms = true,
                      .embeddings = true,
                      .learning_rate = 1e-2,
                      .tokens_a_step = 64,
                      .visit_all = true,
                      .temperature = 1e9};
  const Conversion mixed = run(request(cancelling, {mixing}, {3200})).at(3200);
  mixing.token_share = 0.5;
  const RetrainStage choosing{.name = "choosing",
                              .token_share = 0.5,
                              .experts = Training::kFrozen,
                              .norms = true,
                              .learning_rate = 1e-9,
                              .tokens_a_step = 64};
  const Conversion chosen = run(request(mixed, {mixing, choosing}, {640})).at(640);
  const nlohmann::json& curve = chosen.metadata["retraining"]["curve"];
  const double guess = std::log(67.0);
  EXPECT_LT(curve.front()["loss"].get<double>(), guess - 0.1);
  EXPECT_GT(curve.back()["loss"].get<double>(), guess);
}

TEST_F(RetrainerTest, RecipeThatTrainsNothingIsRefused) {
  RetrainRecipe nothing = simple_recipe(1e-3);
  nothing[0].experts = Training::kFrozen;
  nothing[0].router = nothing[0].norms = false;
  EXPECT_THAT([&] { run(request(mixture_, nothing, {64})); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("trains nothing")));
  EXPECT_THROW(run(request(mixture_, {}, {64})), std::invalid_argument);
}

TEST_F(RetrainerTest, StageThatTrainsNothingOfThisConversionLeavesItsShareToTheOthers) {
  Conversion dense;
  dense.layers.assign(2, {.keep_dense = true});
  const nlohmann::json curve = run(request(dense, rich_recipe(), {300})).at(300).metadata["retraining"]["curve"];
  EXPECT_EQ(curve.size(), 6U);  // all 300 tokens, in steps of 48
  EXPECT_EQ(curve.front()["stage"], "experts");
}

TEST_F(RetrainerTest, UnusableRequestsAreRefusedInOneSentence) {
  const auto refused = [&](RetrainRequest request, const std::string& reason) {
    EXPECT_THAT([&] { run(request); }, ThrowsMessage<std::invalid_argument>(HasSubstr(reason)));
  };
  RetrainRequest usable = request(mixture_, simple_recipe(1e-3), {64});
  usable.ids = repetitive_text(15);
  refused(usable, "fewer than one window");
  usable.ids = at::full({100}, 67, at::kLong);
  refused(usable, "vocabulary");
  usable.ids = repetitive_text(400);
  usable.window = 97;
  refused(usable, "positions");
  usable.window = 16;
  usable.marks = {64, 64};
  refused(usable, "ascend");
  Conversion other_model = mixture_;
  other_model.layers.pop_back();
  refused(request(other_model, simple_recipe(1e-3), {64}), "layers");
}

TEST_F(RetrainerTest, SecondRetrainingRemembersTheFirst) {
  const Conversion first = run(request(mixture_, simple_recipe(1e-3), {64})).at(64);
  const Conversion second = run(request(first, simple_recipe(1e-3), {128})).at(128);
  EXPECT_EQ(second.metadata["retraining"]["before"]["tokens"], 64);
}

}  // namespace
}  // namespace moebench
