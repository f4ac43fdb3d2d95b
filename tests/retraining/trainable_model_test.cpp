#include "harness/retraining/trainable_model.h"

#include <cmath>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/retraining/retrain_scene.h"

namespace moebench {
namespace {

const RetrainStage kEverythingLowRank{
    .experts = Training::kLowRank, .attention = Training::kLowRank, .router = true, .norms = true, .rank = 2};
const RetrainStage kEverythingFull{
    .experts = Training::kFull, .attention = Training::kFull, .router = true, .norms = true, .embeddings = true};

class TrainableModelTest : public testing::Test {
 protected:
  TrainableModel model(const Conversion& conversion, const RetrainStage& stage,
                       const TrainableModelOptions& options = {}) const {
    return TrainableModel(checkpoint_, conversion, stage, options);
  }
  double loss(const TrainableModel& model) const {
    const at::NoGradGuard no_grad;
    const at::Tensor head = checkpoint_.load("model.embed_tokens.weight", at::kFloat);
    const at::Tensor logits = at::matmul(model.forward(ids_).narrow(1, 0, 19), head.t()).to(at::kDouble);
    return at::nll_loss(logits.log_softmax(-1).flatten(0, 1), ids_.narrow(1, 1, 19).flatten()).item<double>();
  }

  const MemoryCheckpoint checkpoint_{tiny_llama_config()};
  const at::Tensor ids_ = random_ids(2, 20);
};

// Each layer's experts are all of its neurons, so wide that they are computed visit by visit.
Conversion wide_mixture() {
  Conversion conversion = linear_mixture(2);
  for (LayerConversion& layer : conversion.layers) {
    layer.experts.assign(8, {.neurons = at::arange(48, at::kLong)});
    layer.router.tensors["weight"] = at::linspace(-1, 1, 8 * 32).view({8, 32}).mul(20).sin();
  }
  return conversion;
}

// Several kinds of mixtures: visited, adaptive, fine (computed at once), dense, pruned.
std::vector<Conversion> kinds_of_conversions() {
  Conversion coarse = wide_mixture(), fine = linear_mixture(2), with_dense = linear_mixture(1);
  for (LayerConversion& layer : fine.layers) {
    layer.experts.clear();
    for (int64_t neuron = 12; neuron < 48; neuron += 3) {
      layer.experts.push_back({.neurons = at::arange(neuron, neuron + 3, at::kLong)});
    }
    layer.router.tensors["weight"] = at::linspace(-1, 1, 12 * 32).view({12, 32}).sin();
    layer.experts[1].output_bias = at::full({32}, 0.1);
    layer.experts[2].absent_bias = at::full({32}, -0.2);
    layer.experts[3].top_neurons = 2;
  }
  coarse.layers[0].experts[0].output_bias = at::full({32}, 0.1);
  coarse.layers[0].experts[1].absent_bias = at::full({32}, -0.2);
  coarse.layers[0].experts[2].top_neurons = 4;
  coarse.layers[1].rule.visits = RoutingRule::Visits::kCumulativeMass;
  coarse.layers[1].rule.level = 0.5;
  coarse.layers[1].mean_visits = 1.5;
  with_dense.layers[0] = {.keep_dense = true};
  with_dense.layers[1].experts.clear();
  with_dense.layers[1].router = {};
  with_dense.layers[1].top_k = 0;
  return {coarse, fine, with_dense};
}

TEST_F(TrainableModelTest, LowRankUpdatesBeginByChangingNothing) {
  for (const Conversion& conversion : kinds_of_conversions()) {
    const at::Tensor with_updates = model(conversion, kEverythingLowRank).forward(ids_);
    const RetrainStage nothing{.experts = Training::kFrozen, .router = false};
    EXPECT_TRUE(with_updates.equal(model(conversion, nothing).forward(ids_)));
    EXPECT_LT(largest_difference(with_updates, applied_hidden(checkpoint_, conversion, ids_)), 1e-5);
  }
}

TEST_F(TrainableModelTest, MergedEqualsUnmerged) {
  for (const RetrainStage& stage : {kEverythingLowRank, kEverythingFull}) {
    for (const Conversion& conversion : kinds_of_conversions()) {
      const TrainableModel trained = model(conversion, stage);
      disturb(trained);
      const at::Tensor unmerged = trained.forward(ids_);
      EXPECT_GT(largest_difference(unmerged, applied_hidden(checkpoint_, conversion, ids_)), 1e-2);
      EXPECT_LT(largest_difference(unmerged, applied_hidden(checkpoint_, trained.conversion(), ids_)), 1e-5);
    }
  }
}

TEST_F(TrainableModelTest, RetrainingGoesOnFromEarlierRetraining) {
  for (const Conversion& conversion : kinds_of_conversions()) {
    const TrainableModel first = model(conversion, kEverythingLowRank);
    disturb(first);
    const TrainableModel second = model(first.conversion(), kEverythingLowRank);
    EXPECT_LT(largest_difference(second.forward(ids_), first.forward(ids_)), 1e-5);
    disturb(second);
    // Disturbed twice, hidden states are larger, and so is their rounding.
    const at::Tensor hidden = second.forward(ids_);
    EXPECT_LT(largest_difference(applied_hidden(checkpoint_, second.conversion(), ids_), hidden),
              1e-5 * hidden.abs().max().item<double>());
  }
}

TEST_F(TrainableModelTest, SmallExpertsComputedAtOnceAgreeWithThoseComputedByVisits) {
  // The same experts, but for three more that are wide and never visited: then visits pay.
  Conversion at_once = kinds_of_conversions()[1];
  Conversion by_visits = at_once;
  for (Conversion* conversion : {&at_once, &by_visits}) {
    for (LayerConversion& layer : conversion->layers) {
      layer.router.tensors["bias"] = at::zeros({12});
      layer.top_k = 1;
    }
  }
  for (LayerConversion& layer : by_visits.layers) {
    layer.experts.insert(layer.experts.end(), 3, {.neurons = at::arange(48, at::kLong)});
    layer.router.tensors["weight"] = at::cat({layer.router.tensors["weight"], at::zeros({3, 32})});
    layer.router.tensors["bias"] = at::cat({layer.router.tensors["bias"], at::full({3}, -1e9)});
  }
  EXPECT_LT(largest_difference(model(at_once, kEverythingLowRank).forward(ids_),
                               model(by_visits, kEverythingLowRank).forward(ids_)),
            1e-5);
}

TEST_F(TrainableModelTest, GradientsAgreeWithFiniteDifferences) {
  for (const RetrainStage& stage : {kEverythingLowRank, kEverythingFull}) {
    TrainableModel trained = model(wide_mixture(), stage);
    for (const TrainedParameter& parameter : trained.parameters()) {
      if (parameter.name == "model.embed_tokens.weight") continue;  // loss() has the head of the checkpoint
      const at::Tensor gradient = gradient_of(trained, parameter.name, ids_).clone();
      const at::Tensor direction = gradient / gradient.norm().clamp_min(1e-12);
      const auto moved = [&](double by) {
        const at::NoGradGuard no_grad;
        at::Tensor(parameter.tensor).add_(direction, by);
        const double value = loss(trained);
        at::Tensor(parameter.tensor).sub_(direction, by);
        return value;
      };
      constexpr double kStep = 2e-4;  // so small that no token chooses other experts
      const double expected = gradient.norm().item<double>();
      EXPECT_NEAR((moved(kStep) - moved(-kStep)) / (2 * kStep), expected, 0.02 * expected + 5e-3) << parameter.name;
    }
  }
}

TEST_F(TrainableModelTest, TiedEmbeddingsAreDifferentiatedAsInputAndAsHead) {
  TrainableModel trained = model(linear_mixture(2), kEverythingFull);
  const at::Tensor gradient = gradient_of(trained, "model.embed_tokens.weight", ids_);
  const at::Tensor& embedding = trained.parameters().front().tensor;
  const at::Tensor direction = gradient / gradient.norm();
  const auto moved = [&](double by) {
    const at::NoGradGuard no_grad;
    at::Tensor(embedding).add_(direction, by);
    const double value = trained.add_gradients(ids_, 1.0 / 38, 1, 0).cross_entropy / 38;
    at::Tensor(embedding).sub_(direction, by);
    return value;
  };
  const double expected = gradient.norm().item<double>();
  EXPECT_NEAR((moved(2e-4) - moved(-2e-4)) / 4e-4, expected, 0.02 * expected);
}

TEST_F(TrainableModelTest, TopOneWithRenormalisedSoftmaxGivesTheRouterNoGradientAtAll) {
  TrainableModel trained = model(linear_mixture(1), kEverythingLowRank);
  const at::Tensor gradient = gradient_of(trained, "model.layers.0.mlp.router.weight", ids_);
  ASSERT_TRUE(gradient.defined());
  EXPECT_TRUE(gradient.eq(0).all().item<bool>());
}

TEST_F(TrainableModelTest, DenseMixingGivesATopOneRouterAGradient) {
  RetrainStage stage = kEverythingLowRank;
  stage.visit_all = true;
  TrainableModel trained = model(linear_mixture(1), stage);
  EXPECT_GT(gradient_of(trained, "model.layers.0.mlp.router.weight", ids_).norm().item<double>(), 1e-4);
}

TEST_F(TrainableModelTest, ActivationCheckpointingGivesTheSameBits) {
  RetrainStage stage = kEverythingLowRank;
  stage.dropout = 0.1;
  stage.noise = RetrainStage::Noise::kLlamaMoe;
  stage.importance_and_load = 0.01;
  stage.switch_balance = 0.01;
  TrainableModel held = model(linear_mixture(2), stage);
  TrainableModel computed_again = model(linear_mixture(2), stage, {.activation_checkpointing = true});
  const auto one = held.add_gradients(ids_, 0.1, 1, 7), other = computed_again.add_gradients(ids_, 0.1, 1, 7);
  EXPECT_EQ(one.cross_entropy, other.cross_entropy);
  EXPECT_EQ(one.balance, other.balance);
  for (size_t index = 0; index < held.parameters().size(); ++index) {
    const at::Tensor &first = held.parameters()[index].tensor, &second = computed_again.parameters()[index].tensor;
    EXPECT_TRUE(first.grad().equal(second.grad())) << held.parameters()[index].name;
  }
}

TEST_F(TrainableModelTest, WithoutANoiseADropoutOrAChangeTheSeedDoesNotMatter) {
  TrainableModel trained = model(linear_mixture(2), kEverythingLowRank);
  EXPECT_EQ(trained.add_gradients(ids_, 1, 1, 1).cross_entropy, trained.add_gradients(ids_, 1, 1, 2).cross_entropy);
  RetrainStage noisy = kEverythingLowRank;
  noisy.noise = RetrainStage::Noise::kLlamaMoe;
  TrainableModel with_noise = model(linear_mixture(2), noisy);
  EXPECT_NE(with_noise.add_gradients(ids_, 1, 1, 1).cross_entropy,
            with_noise.add_gradients(ids_, 1, 1, 2).cross_entropy);
}

TEST_F(TrainableModelTest, NoiseMapIsTrainedButNoPartOfTheConversion) {
  RetrainStage stage = kEverythingLowRank;
  stage.noise = RetrainStage::Noise::kDive;
  const TrainableModel first = model(linear_mixture(2), stage);
  EXPECT_THAT(first.conversion().layers[0].router.tensors, testing::SizeIs(1));
  const NoiseWeights noise = first.noise_weights();
  ASSERT_EQ(noise.size(), 2U);
  const TrainableModel second(checkpoint_, first.conversion(), stage, {.seed = 9}, noise);
  EXPECT_TRUE(second.noise_weights().at(1).equal(noise.at(1)));
}

TEST_F(TrainableModelTest, BrainFloatProductsStayNearSinglePrecisionAndGradientsAreFp32) {
  TrainableModel exact = model(linear_mixture(2), kEverythingLowRank);
  TrainableModel rounded = model(linear_mixture(2), kEverythingLowRank, {.dtype = at::kBFloat16});
  const double loss = exact.add_gradients(ids_, 0.1, 1, 0).cross_entropy;
  EXPECT_NEAR(rounded.add_gradients(ids_, 0.1, 1, 0).cross_entropy, loss, 0.02 * loss);
  for (const TrainedParameter& parameter : rounded.parameters()) {
    EXPECT_EQ(parameter.tensor.grad().scalar_type(), at::kFloat) << parameter.name;
  }
}

TEST_F(TrainableModelTest, OracleIsRefused) {
  EXPECT_THAT([&] { model(with_oracle_router(linear_mixture(1)), kEverythingLowRank); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("oracle")));
}

}  // namespace
}  // namespace moebench
