#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "methods/activation_markers.h"
#include "methods/marker_clusters.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

constexpr int64_t kNeurons = 32, kHidden = 8;
const MoeShape kShape{0, 2, 4, 8};

class RandomSplitTest : public testing::Test {
 protected:
  LayerConversion split(const std::string& router, uint64_t seed = 0, int64_t layer = 0) const {
    return convert_layer(*make_converter("random_split", {{"router", router}}), dense_, windows_, kShape, seed, layer);
  }
  static at::Tensor all_neurons(const LayerConversion& conversion) {
    std::vector<at::Tensor> neurons;
    for (const ExpertSpec& expert : conversion.experts) neurons.push_back(expert.neurons);
    return at::cat(neurons);
  }

  const GatedMlpWeights dense_ = random_mlp(kNeurons, kHidden, 1);
  const std::vector<at::Tensor> windows_ = random_windows(2, 50, kHidden, 2);
};

TEST_F(RandomSplitTest, SeedsAndLayersGiveDifferentSplits) {
  const at::Tensor split_0 = all_neurons(split("oracle", 0, 0));
  EXPECT_FALSE(split_0.equal(all_neurons(split("oracle", 1, 0))));
  EXPECT_FALSE(split_0.equal(all_neurons(split("oracle", 0, 1))));
  EXPECT_FALSE(split_0.equal(at::arange(kNeurons, at::kLong)));
}

TEST_F(RandomSplitTest, RouterDoesNotChangeTheSplit) {
  EXPECT_TRUE(all_neurons(split("oracle")).equal(all_neurons(split("cmoe"))));
  EXPECT_TRUE(all_neurons(split("oracle")).equal(all_neurons(split("llama_moe"))));
}

TEST_F(RandomSplitTest, CmoeRouterReadsTheRepresentativesOfTheRandomExperts) {
  const LayerConversion conversion = split("cmoe");
  ActivationMarkers markers(dense_, ActivationScore::kNormalised, 10);
  for (const at::Tensor& inputs : windows_) markers.observe(Window(dense_, inputs).chunk());
  const MarkerMatrix matrix = markers.matrix();
  for (int64_t expert = 0; expert < 4; ++expert) {
    const at::Tensor& neurons = conversion.experts[expert].neurons;
    const std::vector<int64_t> cluster(neurons.const_data_ptr<int64_t>(), neurons.const_data_ptr<int64_t>() + 8);
    const at::Tensor row = dense_.gate_proj[representative(matrix, cluster)];
    EXPECT_TRUE(conversion.router.tensors.at("gate")[expert].allclose(row / row.norm()));
  }
  const Routing routing = MoeLayer(dense_, conversion).route(windows_[0]);
  EXPECT_TRUE(routing.weights.equal(at::ones({50, 2})));
}

TEST_F(RandomSplitTest, LlamaMoeWeightsSumToExpertsOverTopK) {
  for (const char* router : {"llama_moe", "zero_linear"}) {
    const Routing routing = MoeLayer(dense_, split(router)).route(windows_[0]);
    EXPECT_TRUE(routing.weights.sum(1).allclose(at::full({50}, 2.0f))) << router;
  }
}

TEST_F(RandomSplitTest, ZeroGateAlwaysChoosesTheFirstExperts) {
  const Routing routing = MoeLayer(dense_, split("zero_linear")).route(windows_[0]);
  EXPECT_TRUE(routing.experts.equal(at::tensor({0, 1}, at::kLong).expand({50, 2})));
}

TEST_F(RandomSplitTest, SharedNeuronsAreRandomToo) {
  const LayerConversion conversion =
      convert_layer(*make_converter("random_split", {{"router", "oracle"}}), dense_, windows_, {1, 2, 4, 8});
  ASSERT_TRUE(conversion.shared);
  EXPECT_EQ(conversion.shared->neurons.size(0), 8);
  EXPECT_FALSE(conversion.shared->neurons.equal(at::arange(8, at::kLong)));
}

}  // namespace
}  // namespace moebench
