// activated_parameters, expert_load and routing_overlap on routers whose choices are known.
#include <cmath>

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include "tests/tasks/task_fixture.h"
#include "tests/tasks/tiny_conversions.h"

namespace moebench {
namespace {

constexpr double kNeuron = 3 * 64;  // parameters of one neuron: rows of gate and up, column of down
// Two layers: q and o 64x64, k and v 32x64, two norms; the final norm. Embedding and head are one: 264x64.
constexpr double kAttention = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 2 * 64) + 64;
constexpr double kEmbeddings = 264 * 64;

class RoutingTasksTest : public TaskFixture {
 protected:
  nlohmann::json options() const { return {{"text", text_.string()}, {"window", 16}, {"max_windows", 4}}; }
  Measurement parameters() { return measure("activated_parameters", options()); }
  Measurement load() { return measure("expert_load", options()); }
  Measurement overlap() { return measure("routing_overlap", options()); }

  // [1, hidden_size], token by token of the text's four windows.
  template <class Use>
  void for_each_first_layer_input(const Use& use) {
    const std::vector<int32_t> ids = this->ids();
    const at::Tensor embedding = open_checkpoint(model_path_)->load("model.embed_tokens.weight", at::kFloat);
    const LlamaLayer& layer = model_->layers()[0];
    for (int64_t window = 0; window < 4; ++window) {
      const at::Tensor tokens =
          at::tensor(std::vector<int64_t>(ids.begin() + 16 * window, ids.begin() + 16 * (window + 1)), at::kLong);
      const at::Tensor seen = layer.feed_forward_input(layer.attend(embedding.index_select(0, tokens).unsqueeze(0)));
      for (int64_t token = 0; token < 16; ++token) use(seen[0][token].unsqueeze(0));
    }
  }
};

TEST_F(RoutingTasksTest, DenseUsesWhatItStores) {
  const Measurement measured = parameters();
  const double ffn = 2 * 96 * kNeuron;
  EXPECT_EQ(value(measured, "activated_parameters/ffn"), ffn);
  EXPECT_EQ(value(measured, "activated_parameters/non_embedding"), ffn + kAttention);
  EXPECT_EQ(value(measured, "activated_parameters/all"), ffn + kAttention + kEmbeddings);
  EXPECT_EQ(value(measured, "activated_parameters/measured"), ffn + kAttention + kEmbeddings);
  EXPECT_EQ(value(measured, "total_parameters"), ffn + kAttention + kEmbeddings);
  EXPECT_EQ(value(measured, "active_ffn_share"), 1);
}

TEST_F(RoutingTasksTest, AMixtureUsesSharedAndVisitedExpertsAndItsRouter) {
  apply(token_dependent_conversion());
  const Measurement measured = parameters();
  const double router = 3 * 64 + 3, active = 2 * (72 * kNeuron + router);
  EXPECT_EQ(value(measured, "activated_parameters/ffn"), active);
  EXPECT_EQ(value(measured, "activated_parameters/all"), active + kAttention + kEmbeddings);
  EXPECT_EQ(value(measured, "activated_parameters/measured"), active + kAttention + kEmbeddings);
  EXPECT_EQ(value(measured, "total_parameters"), 2 * (96 * kNeuron + router) + kAttention + kEmbeddings);
  EXPECT_EQ(value(measured, "active_ffn_share"), 0.75);
}

TEST_F(RoutingTasksTest, MeasuredCountsTheExpertsThatWereVisited) {
  apply(unequal_conversion({1, 0}));
  const Measurement measured = parameters();
  const double router = 2 * 64 + 2, others = kAttention + kEmbeddings;
  EXPECT_EQ(value(measured, "activated_parameters/measured"), 2 * (10 * kNeuron + router) + others);
  EXPECT_EQ(value(measured, "activated_parameters/all"), 2 * (48 * kNeuron + router) + others);
}

TEST_F(RoutingTasksTest, AStaticModelUsesWhatItKept) {
  apply(static_conversion(30));
  const Measurement measured = parameters();
  EXPECT_EQ(value(measured, "activated_parameters/ffn"), 2 * 30 * kNeuron);
  EXPECT_EQ(value(measured, "activated_parameters/measured"), value(measured, "activated_parameters/all"));
  EXPECT_EQ(value(measured, "total_parameters"), value(measured, "activated_parameters/all"));
  EXPECT_EQ(value(measured, "active_ffn_share"), 30.0 / 96);
}

TEST_F(RoutingTasksTest, AnOracleCountsWhatItChoosesAndHasNoRouter) {
  apply(with_oracle_router(token_dependent_conversion()));
  EXPECT_EQ(value(parameters(), "activated_parameters/ffn"), 2 * 72 * kNeuron);
  EXPECT_EQ(value(parameters(), "activated_parameters/measured"), 2 * 72 * kNeuron + kAttention + kEmbeddings);
}

TEST_F(RoutingTasksTest, LayersThatStayDenseCountAsDense) {
  Conversion conversion = static_conversion(30);
  conversion.layers[1] = {.keep_dense = true};
  apply(std::move(conversion));
  EXPECT_EQ(value(parameters(), "activated_parameters/ffn"), (30 + 96) * kNeuron);
}

TEST_F(RoutingTasksTest, ARouterWithFavouritesHasDeadExperts) {
  apply(biased_conversion({0, 2, 1}));
  const Measurement measured = load();
  for (const char* layer : {"expert_load/layer-00", "expert_load/layer-01"}) {
    EXPECT_EQ(value(measured, std::string(layer) + "/expert-0"), 0);
    EXPECT_EQ(value(measured, std::string(layer) + "/expert-1"), 1);
    EXPECT_EQ(value(measured, std::string(layer) + "/expert-2"), 1);
    EXPECT_EQ(value(measured, std::string(layer) + "/dead_experts"), 1);
  }
  EXPECT_EQ(value(measured, "expert_load/dead_experts"), 2);
  EXPECT_NEAR(value(measured, "expert_load/entropy"), std::log(2) / std::log(3), 1e-12);
  EXPECT_NEAR(value(measured, "expert_load/max_over_mean"), 1.5, 1e-12);
  EXPECT_EQ(measured.metrics[0].n, 64);
}

// The twin: the routed layers' own answers, token by token, counted in a loop.
TEST_F(RoutingTasksTest, SharesCountTheTokensThatVisit) {
  apply(token_dependent_conversion());
  const Measurement measured = load();
  const auto* mixture = dynamic_cast<const MoeLayer*>(&model_->layers()[0].feed_forward());
  std::vector<double> visits(3, 0);
  for_each_first_layer_input([&](const at::Tensor& seen) {
    const at::Tensor chosen = mixture->route(seen).experts;
    for (int64_t choice = 0; choice < 2; ++choice) visits[static_cast<size_t>(chosen[0][choice].item<int64_t>())] += 1;
  });
  for (size_t expert = 0; expert < 3; ++expert) {
    EXPECT_DOUBLE_EQ(value(measured, "expert_load/layer-00/expert-" + std::to_string(expert)), visits[expert] / 64);
  }
}

TEST_F(RoutingTasksTest, AnOracleChoosesWhatAnOracleWould) {
  apply(with_oracle_router(token_dependent_conversion()));
  const Measurement measured = overlap();
  EXPECT_EQ(value(measured, "routing_overlap"), 1);
  EXPECT_EQ(value(measured, "routing_overlap/layer-01"), 1);
  EXPECT_NEAR(value(measured, "routing_overlap/chance"), 2.0 / 3, 1e-12);
  EXPECT_EQ(measured.metrics[0].n, 64);
}

// Two of three experts always overlap in one at least. The twin ranks the experts' norms in a loop, in the first layer,
// whose input is the dense model's.
TEST_F(RoutingTasksTest, OverlapCountsTheChoicesThatAnOracleShares) {
  apply(token_dependent_conversion());
  const Measurement measured = overlap();
  const LlamaLayer& layer = model_->layers()[0];
  const auto* mixture = dynamic_cast<const MoeLayer*>(&layer.feed_forward());
  double shared = 0;
  for_each_first_layer_input([&](const at::Tensor& seen) {
    const at::Tensor chosen = mixture->route(seen).experts;
    const at::Tensor norms = mixture->contribution_norms(seen);
    const int64_t least = norms[0].argmin().item<int64_t>();
    for (int64_t choice = 0; choice < 2; ++choice) shared += chosen[0][choice].item<int64_t>() == least ? 0 : 0.5;
  });
  EXPECT_NEAR(value(measured, "routing_overlap/layer-00"), shared / 64, 1e-12);
  EXPECT_GE(value(measured, "routing_overlap/layer-01"), 0.5);
}

TEST_F(RoutingTasksTest, TextsThatDoNotFitAreNamed) {
  const auto refused = [&](const char* why) {
    return testing::ThrowsMessage<std::invalid_argument>(
        testing::AllOf(testing::HasSubstr("sample.txt: "), testing::HasSubstr(why)));
  };
  nlohmann::json too_long = options();
  too_long["window"] = 97;
  EXPECT_THAT([&] { measure("expert_load", too_long); }, refused("window 97 is longer than the model's 96 positions"));
  write_text("short");
  EXPECT_THAT([&] { load(); }, refused("the text has 5 tokens, fewer than one window of 16"));
}

TEST_F(RoutingTasksTest, ModelsThatRouteNothingHaveNoLoadAndNoOverlap) {
  EXPECT_THAT(load().metrics, testing::IsEmpty());
  EXPECT_THAT(overlap().metrics, testing::IsEmpty());
  apply(static_conversion(30));
  EXPECT_THAT(load().metrics, testing::IsEmpty());
  EXPECT_THAT(overlap().metrics, testing::IsEmpty());
}

}  // namespace
}  // namespace moebench
