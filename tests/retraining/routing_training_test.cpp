#include "harness/retraining/routing_training.h"

#include <cmath>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/methods/golden_arrays.h"

namespace moebench {
namespace {

constexpr const char* kNoGolden = "the published code's reference arrays (golden/methods) are not here";

double largest_difference(const at::Tensor& one, const at::Tensor& other) {
  return (one - other).abs().max().item<double>();
}

const RoutingRule kSoftmaxAfter{.softmax = RoutingRule::Softmax::kAfterTopK, .weights = RoutingRule::Weights::kScores};

at::Tensor vector_of(const nlohmann::json& values) { return at::tensor(values.get<std::vector<float>>()); }

// LLaMA-MoE's gate in training, from its stored noise.
struct LlamaMoeGate {
  NoisyLogits logits;
  Routing routing;

  LlamaMoeGate(const GoldenArrays& arrays, int64_t top_k) {
    const std::string prefix = "f_mlp_k" + std::to_string(top_k) + "_train_";
    const RouterSpec router{.kind = RouterKind::kTanhMlp,
                            .tensors = {{"first", arrays["f_gate0"]}, {"second", arrays["f_gate2"]}}};
    logits = add_noise(RetrainStage::Noise::kLlamaMoe, router_logits(router, arrays["f_x"]), arrays[prefix + "wnoise"],
                       arrays["f_x"], arrays[prefix + "eps"]);
    routing = choose_experts(logits.noisy, router.kind, kSoftmaxAfter, top_k);
  }
};

TEST(LlamaMoeTrainingTest, ChoiceScoresLoadAndLossAreThePublishedCodes) {
  const auto arrays = GoldenArrays::read("a2_llamamoe");
  if (!arrays) GTEST_SKIP() << kNoGolden;
  for (const int64_t top_k : {2, 4}) {
    const std::string prefix = "f_mlp_k" + std::to_string(top_k) + "_train_";
    const LlamaMoeGate gate(*arrays, top_k);
    EXPECT_TRUE(gate.routing.experts.equal((*arrays)[prefix + "idx"])) << top_k;
    EXPECT_LT(largest_difference(gate.routing.weights, (*arrays)[prefix + "score"]), 1e-5);
    const at::Tensor load = smooth_load(gate.logits, top_k, /*published_estimator=*/true);
    EXPECT_LT(largest_difference(load, vector_of(arrays->meta()[prefix + "load"])), 1e-4);
    const at::Tensor loss = importance_and_load_loss(gate.logits, gate.routing, 1, /*published_estimator=*/true);
    EXPECT_NEAR(0.01 * loss.item<double>(), arrays->meta()[prefix + "balance_loss"].get<double>(), 1e-6);
  }
}

TEST(LlamaMoeTrainingTest, WithoutNoiseTheLoadIsCounted) {
  const auto arrays = GoldenArrays::read("a2_llamamoe");
  if (!arrays) GTEST_SKIP() << kNoGolden;
  const RouterSpec router{.kind = RouterKind::kTanhMlp,
                          .tensors = {{"first", (*arrays)["f_gate0"]}, {"second", (*arrays)["f_gate2"]}}};
  const at::Tensor logits = router_logits(router, (*arrays)["f_x"]);
  for (const int64_t top_k : {1, 2, 4, 8}) {
    const std::string prefix = "f_mlp_k" + std::to_string(top_k) + "_";
    const Routing routing = choose_experts(logits, router.kind, kSoftmaxAfter, top_k);
    EXPECT_TRUE(count_visits(routing, 8).to(at::kFloat).equal(vector_of(arrays->meta()[prefix + "load"])));
    const at::Tensor loss = importance_and_load_loss({.clean = logits, .noisy = logits}, routing, 1, false);
    EXPECT_NEAR(0.01 * loss.item<double>(), arrays->meta()[prefix + "balance_loss_eval"].get<double>(), 1e-6);
  }
}

// Shazeer et al., appendix A, one token and expert at a time: would the noise of this expert alone, drawn again, bring
// it among the top k?
double plain_load(const NoisyLogits& logits, int64_t top_k, int64_t expert) {
  double load = 0;
  for (int64_t token = 0; token < logits.clean.size(0); ++token) {
    std::vector<double> others;
    for (int64_t other = 0; other < logits.clean.size(1); ++other) {
      if (other != expert) others.push_back(logits.noisy[token][other].item<double>());
    }
    std::sort(others.rbegin(), others.rend());
    const double gap = logits.clean[token][expert].item<double>() - others[top_k - 1];
    load += 0.5 * (1 + std::erf(gap / logits.deviation[token][expert].item<double>() / std::sqrt(2.0)));
  }
  return load;
}

TEST(SmoothLoadTest, TheCorrectEstimatorIsThePapersDefinition) {
  const auto arrays = GoldenArrays::read("a2_llamamoe");
  if (!arrays) GTEST_SKIP() << kNoGolden;
  for (const int64_t top_k : {2, 4}) {
    const LlamaMoeGate gate(*arrays, top_k);
    const at::Tensor load = smooth_load(gate.logits, top_k, /*published_estimator=*/false);
    for (int64_t expert = 0; expert < 8; ++expert) {
      EXPECT_NEAR(load[expert].item<double>(), plain_load(gate.logits, top_k, expert), 1e-5);
    }
  }
}

class DiveTrainingTest : public testing::Test {
 protected:
  void SetUp() override {
    arrays_ = GoldenArrays::read("a3_dive");
    if (!arrays_) GTEST_SKIP() << kNoGolden;
    const RouterSpec router{.kind = RouterKind::kLinear, .tensors = {{"weight", (*arrays_)["router_w"]}}};
    logits_ = add_noise(RetrainStage::Noise::kDive, router_logits(router, (*arrays_)["x_test"]), (*arrays_)["noise_w"],
                        (*arrays_)["x_test"], (*arrays_)["train_eps"]);
  }
  std::optional<GoldenArrays> arrays_;
  NoisyLogits logits_;
};

TEST_F(DiveTrainingTest, ExpertStageChoosesAndWeighsAsThePublishedCode) {
  for (const int64_t top_k : {1, 2, 4}) {
    const std::string prefix = "trainexp_k" + std::to_string(top_k);
    const Routing routing = choose_experts(logits_.noisy, RouterKind::kLinear, kSoftmaxAfter, top_k);
    EXPECT_TRUE(routing.experts.equal((*arrays_)[prefix + "_idx"])) << top_k;
    EXPECT_LT(largest_difference(routing.weights, (*arrays_)[prefix + "_w"]), 1e-5);
  }
}

TEST_F(DiveTrainingTest, RouterStageMixesAllExpertsAsThePublishedCode) {
  for (const char* temperature : {"0.05", "0.5"}) {
    const std::string prefix = std::string("trainrouter_tau") + temperature;
    const at::Tensor weights = mixing_weights(logits_.noisy, kSoftmaxAfter, 2, std::stod(temperature));
    EXPECT_LT(largest_difference(weights, (*arrays_)[prefix + "_w_by_expert"]), 1e-4) << temperature;
    const at::Tensor output = (weights.t().unsqueeze(2) * (*arrays_)["expert_out_1_2"]).sum(0);
    EXPECT_LT(largest_difference(output, (*arrays_)[prefix + "_out"]), 1e-4) << temperature;
  }
}

TEST(MixingWeightsTest, AddUpToWhatTheTopExpertsWeightsDo) {
  const at::Tensor logits = at::tensor({1.0f, 2.0f, 0.5f, -1.0f}).view({1, 4});
  EXPECT_NEAR(mixing_weights(logits, kSoftmaxAfter, 2, 0.3).sum().item<double>(), 1, 1e-6);
  RoutingRule scaled = kSoftmaxAfter;
  scaled.scale = 4;
  EXPECT_NEAR(mixing_weights(logits, scaled, 2, 0.3).sum().item<double>(), 4, 1e-5);
  EXPECT_NEAR(mixing_weights(logits, {}, 3, 0.3).sum().item<double>(), 3, 1e-5);  // unit weights
}

TEST(SwitchBalanceTest, IsOneWhereAllAreAlikeAndTheNumberOfExpertsWhereOneGetsAll) {
  const at::Tensor visits = at::full({4}, 5, at::kLong);
  EXPECT_NEAR(switch_balance_loss(at::zeros({20, 4}), visits).item<double>(), 1, 1e-6);
  const at::Tensor one_sided = at::tensor({100.0f, 0.0f, 0.0f, 0.0f}).expand({20, 4});
  const at::Tensor all_to_first = at::tensor(at::ArrayRef<int64_t>({20, 0, 0, 0}), at::kLong);
  EXPECT_NEAR(switch_balance_loss(one_sided, all_to_first).item<double>(), 4, 1e-5);
}

TEST(SelectionBiasTest, MovesAgainstTheLoadByTheSameStepForAll) {
  at::Tensor bias = at::zeros({4});
  balance_selection_bias(bias, at::tensor(at::ArrayRef<int64_t>({9, 1, 5, 5}), at::kLong), 0.5);
  EXPECT_TRUE(bias.equal(at::tensor({-0.5f, 0.5f, 0.0f, 0.0f})));
}

TEST(CountVisitsTest, ExpertsThatAnAdaptiveRuleLeavesOutAreNotCounted) {
  const Routing routing{.experts = at::tensor(at::ArrayRef<int64_t>({0, 2, 2, 1}), at::kLong).view({2, 2}),
                        .visited = at::tensor({1, 0, 1, 1}).to(at::kBool).view({2, 2})};
  EXPECT_TRUE(count_visits(routing, 4).equal(at::tensor(at::ArrayRef<int64_t>({1, 1, 1, 0}), at::kLong)));
}

}  // namespace
}  // namespace moebench
