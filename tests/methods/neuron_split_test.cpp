#include "methods/neuron_split.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "tests/methods/golden_arrays.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

using testing::ElementsAre;

std::vector<int64_t> labels_of(const NeuronLists& lists, int64_t num_neurons) {
  std::vector<int64_t> labels(num_neurons, -1);
  for (size_t expert = 0; expert < lists.size(); ++expert) {
    for (const int64_t neuron : lists[expert]) labels[neuron] = static_cast<int64_t>(expert);
  }
  return labels;
}

TEST(GreedySplitTest, TheMostImportantNeuronIsGivenFirst) {
  // Expert 1 wants neuron 0 more than expert 0 does; expert 0 is left with 1 and 3.
  const at::Tensor importance = at::tensor({5., 2., 1., 0., 9., 1., 8., 0.}).view({2, 4});
  EXPECT_THAT(greedy_split(importance, 2), ElementsAre(ElementsAre(1, 3), ElementsAre(0, 2)));
}

TEST(GreedySplitTest, NeuronsThatAreTakenAreSkipped) {
  const at::Tensor importance = at::tensor({5., 2., 1., 0., 9., 1., 8., 0.}).view({2, 4});
  EXPECT_THAT(greedy_split(importance, 1, {true, false, false, false}), ElementsAre(ElementsAre(1), ElementsAre(2)));
}

TEST(GreedySplitTest, RefusesMoreNeuronsThanThereAre) {
  EXPECT_THROW(greedy_split(at::ones({2, 4}), 3), std::invalid_argument);
  EXPECT_THROW(greedy_split(at::ones({2, 4}), 2, {true, false, false, false}), std::invalid_argument);
  EXPECT_THROW(sharing_inner_split(at::ones({2, 4}), 5), std::invalid_argument);
  EXPECT_THROW(sharing_inter_split(at::ones({2, 4}), 1, 2, false), std::invalid_argument);
}

TEST(SharingInterTest, NeuronsThatMostExpertsWantAreAlwaysOn) {
  // Among the best two: neuron 3 three times, 0, 1 and 4 once.
  const at::Tensor importance =
      at::tensor({9., 0., 0., 8., 0., 1., 0., 9., 0., 8., 0., 1., 0., 1., 0., 8., 9., 0.}).view({3, 6});
  const ResidualSplit split = sharing_inter_split(importance, 1, 2, /*share_neurons=*/true);
  EXPECT_EQ(split.residual.front(), 3);
  EXPECT_EQ(split.residual.size(), 2);
}

// Released code's sets for layer 0 of a tiny language model, in the order of choice.
class ReleasedGradientSplits : public testing::Test {
 protected:
  void SetUp() override {
    arrays_ = GoldenArrays::read("a2_llamamoe");
    if (!arrays_) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/methods)";
    importance_ = (*arrays_)["imp_l1_norm_sample_feature_change"].narrow(0, 0, 8);
  }
  template <class Value>
  Value stored(const std::string& name) const {
    return arrays_->meta().at("gradient_splits").at(name).get<Value>();
  }

  static constexpr int64_t kSize = 22;
  std::optional<GoldenArrays> arrays_;
  at::Tensor importance_;
};

TEST_F(ReleasedGradientSplits, IndependentSetsAgree) {
  using Labels = std::vector<int64_t>;
  EXPECT_EQ(labels_of(greedy_split(importance_, kSize), 176), stored<Labels>("independent_greedy_max"));
  // The released criterion "min" takes the least important first: the same rule on the negative.
  EXPECT_EQ(labels_of(greedy_split(-importance_, kSize), 176), stored<Labels>("independent_greedy_min"));
}

TEST_F(ReleasedGradientSplits, TiesGoToTheLastExpertAndTheLowestNeuron) {
  const nlohmann::json& ties = arrays_->meta().at("gradient_ties");
  std::vector<double> scores;
  for (const auto& row : ties.at("scores")) {
    for (const auto& score : row) scores.push_back(score.get<double>());
  }
  EXPECT_EQ(labels_of(greedy_split(at::tensor(scores).view({2, 6}), 3), 6),
            ties.at("labels").get<std::vector<int64_t>>());
}

TEST_F(ReleasedGradientSplits, SharingInnerSetsAgree) {
  EXPECT_EQ(sharing_inner_split(importance_, kSize), stored<NeuronLists>("sharing_inner_max"));
}

TEST_F(ReleasedGradientSplits, ResidualAndRoutedSetsAgree) {
  for (const int64_t num_residual : {1, 2}) {
    for (const bool share_neurons : {true, false}) {
      const std::string name =
          "residual_R" + std::to_string(num_residual) + "_share" + (share_neurons ? "True" : "False");
      const auto lists = stored<NeuronLists>(name);
      const at::Tensor importance = importance_.narrow(0, 0, 8 - num_residual);
      const ResidualSplit split = sharing_inter_split(importance, num_residual, kSize, share_neurons);
      std::vector<int64_t> residual;
      for (int64_t expert = 0; expert < num_residual; ++expert) {
        residual.insert(residual.end(), lists[expert].begin(), lists[expert].end());
      }
      EXPECT_EQ(split.residual, residual) << name;
      EXPECT_EQ(split.routed, NeuronLists(lists.begin() + num_residual, lists.end())) << name;
    }
  }
}

TEST(ResidualBlockTest, OutputIsTheMeanOfItsExperts) {
  const GatedMlpWeights dense = random_mlp(12, 4, 1);
  const at::Tensor hidden = random_windows(1, 5, 4, 2).front();
  const std::vector<int64_t> neurons = {7, 1, 4, 9, 2, 0};
  const at::Tensor rows = at::tensor(neurons, at::kLong);
  const GatedMlpWeights cut = {dense.gate_proj.index_select(0, rows), dense.up_proj.index_select(0, rows),
                               dense.down_proj.index_select(1, rows)};
  const at::Tensor sum = GatedMlp(cut).forward(hidden);
  for (const int64_t num_residual : {1, 2, 3}) {
    const LayerConversion layer{.shared = residual_block(neurons, num_residual, dense.down_proj)};
    EXPECT_TRUE(MoeLayer(dense, layer).forward(hidden).allclose(sum / num_residual, 1e-5, 1e-6)) << num_residual;
  }
}

}  // namespace
}  // namespace moebench
