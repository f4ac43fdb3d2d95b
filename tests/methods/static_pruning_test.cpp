#include <algorithm>
#include <cmath>
#include <span>
#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "methods/activation_gram.h"
#include "methods/activation_markers.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

constexpr int64_t kNeurons = 32, kHidden = 8;

class StaticPruningTest : public testing::Test {
 protected:
  LayerConversion prune(const nlohmann::json& options, int64_t num_kept) const {
    return convert_layer(*make_converter("static_pruning", options), dense_, windows_, {1, 0, 1, num_kept});
  }

  at::Tensor all_activations() const {
    std::vector<at::Tensor> activations;
    for (const at::Tensor& inputs : windows_) activations.push_back(Window(dense_, inputs).activations);
    return at::cat(activations).to(at::kDouble);
  }

  at::Tensor largest(const at::Tensor& importance, int64_t count) const {
    return std::get<0>(std::get<1>(importance.topk(count)).sort());
  }

  GatedMlpWeights dense_ = random_mlp(kNeurons, kHidden, 1);
  std::vector<at::Tensor> windows_ = random_windows(4, 50, kHidden, 2);
};

TEST_F(StaticPruningTest, RateKeepsTheMostOftenMarkedNeurons) {
  ActivationMarkers markers(dense_, ActivationScore::kNormalised, 10);
  for (const at::Tensor& inputs : windows_) markers.observe(Window(dense_, inputs).chunk());
  const MarkerMatrix matrix = markers.matrix();
  const LayerConversion conversion = prune({{"criterion", "rate"}}, 12);
  const at::Tensor& kept = conversion.shared->neurons;
  const std::span list(kept.const_data_ptr<int64_t>(), 12);
  int64_t least_kept = matrix.num_tokens(), most_dropped = 0;
  for (const int64_t neuron : list) least_kept = std::min(least_kept, matrix.count(neuron));
  for (const int64_t neuron : other_neurons(list, kNeurons))
    most_dropped = std::max(most_dropped, matrix.count(neuron));
  EXPECT_GE(least_kept, most_dropped);
}

TEST_F(StaticPruningTest, EnergyKeepsTheNeuronsThatContributeMost) {
  // E[h^2] ||w_d||^2 is the mean squared norm of what the neuron adds to the output.
  at::Tensor contribution = at::zeros({kNeurons}, at::kDouble);
  const at::Tensor h = all_activations();
  for (int64_t neuron = 0; neuron < kNeurons; ++neuron) {
    const at::Tensor added = h.select(1, neuron).unsqueeze(1) * dense_.down_proj.select(1, neuron);
    contribution[neuron] = added.square().sum(1).mean();
  }
  EXPECT_TRUE(prune({{"criterion", "energy"}}, 12).shared->neurons.equal(largest(contribution, 12)));
}

TEST_F(StaticPruningTest, TextbookFlapKeepsTheNeuronsThatVaryMost) {
  const at::Tensor variance = all_activations().var(0) * dense_.down_proj.to(at::kDouble).square().sum(0);
  const LayerConversion conversion = prune({{"criterion", "flap"}, {"estimator", "textbook"}}, 12);
  EXPECT_TRUE(conversion.shared->neurons.equal(largest(variance, 12)));
}

TEST_F(StaticPruningTest, SamplesAreCutFromWindows) {
  const LayerConversion of_windows = prune({{"criterion", "flap"}, {"sample_tokens", 25}}, 12);
  std::vector<at::Tensor> halves;
  for (const at::Tensor& window : windows_) {
    for (const at::Tensor& half : window.split(25)) halves.push_back(half);
  }
  windows_ = halves;
  EXPECT_TRUE(prune({{"criterion", "flap"}}, 12).shared->neurons.equal(of_windows.shared->neurons));
}

TEST_F(StaticPruningTest, KeepingEveryNeuronIsTheDenseLayer) {
  const at::Tensor expected = GatedMlp(dense_).forward(windows_[0]);
  for (const char* criterion : {"rate", "energy", "flap"}) {
    for (const char* compensation : {"none", "bias", "least_squares"}) {
      const LayerConversion conversion = prune({{"criterion", criterion}, {"compensation", compensation}}, kNeurons);
      const at::Tensor output = MoeLayer(dense_, conversion).forward(windows_[0]);
      EXPECT_LT((output - expected).abs().max().item<double>(), 1e-6) << criterion << " " << compensation;
    }
  }
}

TEST_F(StaticPruningTest, BiasMakesUpForNeuronsThatNeverChange) {
  // The last eight neurons read only an input that is always 1.
  for (at::Tensor& window : windows_) window.select(1, kHidden - 1).fill_(1);
  dense_.gate_proj.narrow(0, 24, 8).narrow(1, 0, kHidden - 1).zero_();
  dense_.up_proj.narrow(0, 24, 8).narrow(1, 0, kHidden - 1).zero_();
  const LayerConversion conversion = prune({{"criterion", "flap"}, {"compensation", "bias"}}, 24);
  EXPECT_TRUE(conversion.shared->neurons.equal(at::arange(24, at::kLong)));
  const at::Tensor output = MoeLayer(dense_, conversion).forward(windows_[1]);
  EXPECT_LT((output - GatedMlp(dense_).forward(windows_[1])).abs().max().item<double>(), 1e-5);
}

TEST_F(StaticPruningTest, LeastSquaresComesNearerToDenseThanBiasAndBiasNearerThanNothing) {
  const auto error = [&](const char* compensation) {
    const LayerConversion conversion = prune({{"criterion", "energy"}, {"compensation", compensation}}, 20);
    double sum = 0;
    for (const at::Tensor& window : windows_) {
      const at::Tensor difference = MoeLayer(dense_, conversion).forward(window) - GatedMlp(dense_).forward(window);
      sum += difference.square().sum().item<double>();
    }
    return sum;
  };
  EXPECT_LT(error("least_squares"), error("bias"));
  EXPECT_LT(error("bias"), error("none"));
}

TEST_F(StaticPruningTest, ResidualWeightsAreOneOverTheNormOfTheStream) {
  ActivationGram gram(kNeurons);
  ActivationEnergy energy(kNeurons);
  for (const at::Tensor& inputs : windows_) {
    const Window window(dense_, inputs);
    const at::Tensor stream = window.residual + GatedMlp(dense_).forward(inputs);
    gram.observe(window.activations, 1 / stream.norm(2, {1}));
    energy.observe(window.activations, 1 / stream.norm(2, {1}));
  }
  const LayerConversion conversion = prune(
      {{"criterion", "energy"}, {"compensation", "least_squares"}, {"token_weights", "residual"}, {"ridge", 0.1}}, 20);
  const at::Tensor importance = energy.mean() * dense_.down_proj.to(at::kDouble).square().sum(0);
  EXPECT_TRUE(conversion.shared->neurons.equal(largest(importance, 20)));
  const DownProjRefit refit = gram.refit(conversion.shared->neurons, dense_.down_proj, 0.1);
  EXPECT_TRUE(conversion.shared->down_proj->allclose(refit.down_proj, 1e-5, 1e-6));
  EXPECT_TRUE(conversion.shared->output_bias->allclose(refit.output_bias, 1e-5, 1e-6));
}

TEST_F(StaticPruningTest, PublishedFlapNeedsTwoSamples) {
  windows_.resize(1);
  EXPECT_THAT(
      [&] {
        prune({{"criterion", "flap"}}, 12);
      },
      testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("needs two")));
  EXPECT_NO_THROW(prune({{"criterion", "flap"}, {"sample_tokens", 25}}, 12));
}

TEST_F(StaticPruningTest, RefusesOptionsOutOfRange) {
  EXPECT_THROW(make_converter("static_pruning", {{"ridge", 0}}), std::invalid_argument);
  EXPECT_THROW(make_converter("static_pruning", {{"sample_tokens", 0}}), std::invalid_argument);
  EXPECT_THROW(make_converter("static_pruning", {{"top_activations", 0}}), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
