#include <algorithm>
#include <cmath>
#include <vector>

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/model/moe_layer.h"
#include "tests/methods/layer_scene.h"

namespace moebench {
namespace {

class TopkNeuronsTest : public testing::Test {
 protected:
  at::Tensor output(int64_t num_active) const {
    const LayerConversion conversion =
        convert_layer(*make_converter("topk_neurons"), dense_, {}, {1, 0, 1, num_active});
    return MoeLayer(dense_, conversion).forward(inputs_);
  }

  GatedMlpWeights dense_ = random_mlp(24, 8, 1);
  at::Tensor inputs_ = random_windows(1, 30, 8, 2).front();
};

TEST_F(TopkNeuronsTest, EachTokenHasTheNeuronsOfItsLargestActivations) {
  const at::Tensor activations = Window(dense_, inputs_).activations;
  at::Tensor expected = at::zeros_like(inputs_);
  for (int64_t token = 0; token < 30; ++token) {
    std::vector<std::pair<double, int64_t>> by_magnitude;
    for (int64_t neuron = 0; neuron < 24; ++neuron) {
      by_magnitude.emplace_back(-std::abs(activations[token][neuron].item<double>()), neuron);
    }
    std::sort(by_magnitude.begin(), by_magnitude.end());
    for (int64_t rank = 0; rank < 9; ++rank) {
      const int64_t neuron = by_magnitude[rank].second;
      expected[token] += dense_.down_proj.select(1, neuron) * activations[token][neuron];
    }
  }
  EXPECT_LT((output(9) - expected).abs().max().item<double>(), 1e-6);
}

TEST_F(TopkNeuronsTest, AllNeuronsAreTheDenseLayer) {
  EXPECT_LT((output(24) - GatedMlp(dense_).forward(inputs_)).abs().max().item<double>(), 1e-6);
}

TEST_F(TopkNeuronsTest, OnlyTheAskedForNeuronsCountAsActive) {
  const LayerConversion conversion = convert_layer(*make_converter("topk_neurons"), dense_, {}, {3, 0, 8, 3});
  const MoeLayer layer(dense_, conversion);
  EXPECT_EQ(layer.shared_active_neurons(), 9);
  EXPECT_EQ(layer.always_active_parameters(), 9 * 3 * 8);
}

TEST_F(TopkNeuronsTest, NeedsNoText) { EXPECT_FALSE(make_converter("topk_neurons")->calibration().needs_text); }

}  // namespace
}  // namespace moebench
