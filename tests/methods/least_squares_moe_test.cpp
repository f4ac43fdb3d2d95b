#include <stdexcept>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

constexpr int64_t kNeurons = 32, kHidden = 8;
const MoeShape kShape{2, 3, 8, 4};

class LeastSquaresMoeTest : public testing::Test {
 protected:
  LayerConversion convert(const nlohmann::json& options, const MoeShape& shape = kShape) const {
    return convert_layer(*make_converter("least_squares_moe", options), dense_, windows_, shape);
  }

  GatedMlpWeights dense_ = random_mlp(kNeurons, kHidden, 1);
  std::vector<at::Tensor> windows_ = random_windows(4, 60, kHidden, 2);
};

TEST_F(LeastSquaresMoeTest, NeuronsOfTheMostWeightedEnergyAreAlwaysOn) {
  at::Tensor energy = at::zeros({kNeurons}, at::kDouble);
  for (const at::Tensor& inputs : windows_) {
    const Window window(dense_, inputs);
    const at::Tensor stream = (window.residual + GatedMlp(dense_).forward(inputs)).norm(2, {1}, /*keepdim=*/true);
    for (int64_t neuron = 0; neuron < kNeurons; ++neuron) {
      const at::Tensor added = window.activations.narrow(1, neuron, 1) * dense_.down_proj.select(1, neuron);
      energy[neuron] += (added / stream).square().sum().to(at::kDouble);
    }
  }
  const at::Tensor expected = std::get<0>(std::get<1>(energy.topk(8)).sort());
  EXPECT_TRUE(convert({}).shared->neurons.equal(expected));
}

TEST_F(LeastSquaresMoeTest, NeuronsThatWriteForTheSameTokensMeet) {
  // Groups of four that differ in size only; nothing is shared.
  const at::Tensor group = at::arange(kNeurons, at::kLong).remainder(8), size = at::linspace(0.5, 2, kNeurons);
  dense_.gate_proj = dense_.gate_proj.index_select(0, group);
  dense_.up_proj = dense_.up_proj.index_select(0, group) * size.unsqueeze(1);
  const LayerConversion conversion = convert({}, {0, 3, 8, 4});
  EXPECT_FALSE(conversion.shared);
  for (const ExpertSpec& expert : conversion.experts) {
    EXPECT_TRUE(expert.neurons.remainder(8).eq(expert.neurons[0].remainder(8)).all().item<bool>());
  }
}

TEST_F(LeastSquaresMoeTest, ItsOwnRouterReadsEachClustersNeuronOfTheMostEnergy) {
  const LayerConversion conversion = convert({{"router", "own"}, {"token_weights", "none"}});
  at::Tensor h = at::zeros({0, kNeurons});
  for (const at::Tensor& inputs : windows_) h = at::cat({h, Window(dense_, inputs).activations});
  const at::Tensor energy = h.square().sum(0) * dense_.down_proj.square().sum(0);
  ASSERT_EQ(conversion.router.kind, RouterKind::kGatedRows);
  for (size_t expert = 0; expert < conversion.experts.size(); ++expert) {
    const at::Tensor& neurons = conversion.experts[expert].neurons;
    const at::Tensor row = dense_.gate_proj[neurons[energy.index_select(0, neurons).argmax()].item<int64_t>()];
    EXPECT_TRUE(conversion.router.tensors.at("gate")[static_cast<int64_t>(expert)].allclose(row / row.norm()));
  }
}

TEST_F(LeastSquaresMoeTest, WithEveryExpertVisitedItIsTheDenseLayer) {
  const LayerConversion conversion = convert({}, {2, 6, 8, 4});
  const at::Tensor output = MoeLayer(dense_, conversion).forward(windows_[0]);
  EXPECT_LT((output - GatedMlp(dense_).forward(windows_[0])).abs().max().item<double>(), 1e-5);
}

TEST_F(LeastSquaresMoeTest, EveryStepBringsItNearerToDense) {
  const auto error = [&](const char* router, const char* compensation) {
    const LayerConversion conversion = convert({{"router", router}, {"compensation", compensation}});
    double sum = 0;
    for (const at::Tensor& inputs : windows_) {
      const Window window(dense_, inputs);
      const at::Tensor dense = GatedMlp(dense_).forward(inputs);
      const at::Tensor stream = (window.residual + dense).norm(2, {1}, /*keepdim=*/true);
      sum += ((MoeLayer(dense_, conversion).forward(inputs) - dense) / stream).square().sum().item<double>();
    }
    return sum;
  };
  EXPECT_LT(error("ridge", "none"), error("own", "none"));
  EXPECT_LT(error("ridge", "least_squares"), error("ridge", "mean"));
  EXPECT_LT(error("ridge", "mean"), error("ridge", "none"));
}

TEST_F(LeastSquaresMoeTest, BudgetsGiveLayersShapesOfTheirOwn) {
  const std::unique_ptr<Converter> converter = make_converter("least_squares_moe", {{"budget_slope", 0.4}});
  const DenseLayer dense{0, dense_};
  const std::unique_ptr<LayerObserver> observer =
      converter->observe_layer({.dense = dense, .num_layers = 2, .shape = kShape});
  for (const at::Tensor& inputs : windows_) {
    const Window window(dense_, inputs);
    observer->observe(window.chunk());
  }
  const LayerConversion conversion = observer->convert(dense, kShape);
  // 5 (1 + 0.4) = 7 active experts, two fifths of them shared.
  EXPECT_EQ(conversion.shared->neurons.numel(), 3 * 4);
  EXPECT_EQ(conversion.top_k, 4);
  EXPECT_EQ(conversion.experts.size(), 5u);
}

TEST(LeastSquaresMoeLayoutTest, AThirdOfTheActiveNeuronsIsAlwaysOn) {
  const auto shape = [](const nlohmann::json& options, double ratio, int64_t num_neurons) {
    const LlamaConfig config{.intermediate_size = num_neurons};
    return to_string(make_converter("least_squares_moe", options)->shape_for(ratio, config), num_neurons);
  };
  EXPECT_EQ(shape({}, 0.75, 1536), "S12A24E48");
  EXPECT_EQ(shape({}, 0.5, 1536), "S8A16E48");
  EXPECT_EQ(shape({{"experts", 96}}, 0.75, 1536), "S24A48E96");
  EXPECT_EQ(shape({{"experts", 8}}, 0.5, 1536), "S1A3E8");
  EXPECT_EQ(shape({}, 0.75, 11008), "S8A16E32");  // 43 experts divide 11008 neurons, but not into quarters
}

}  // namespace
}  // namespace moebench
