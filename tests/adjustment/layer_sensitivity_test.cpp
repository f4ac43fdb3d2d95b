#include "harness/adjustment/layer_sensitivity.h"

#include <memory>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include "harness/model/feed_forward.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

constexpr int64_t kNeurons = 64;

// A layer in which each token's neurons that add the least give their mean output instead; in double.
class WithoutLeast : public FeedForward {
 public:
  WithoutLeast(GatedMlpWeights dense, int64_t num_dropped) : dense_(std::move(dense)), num_dropped_(num_dropped) {}

  at::Tensor forward(const at::Tensor& hidden) const override {
    const at::Tensor h = gated_activations(dense_, hidden).to(at::kDouble), mean = h.mean(0);
    const at::Tensor down_proj = dense_.down_proj.to(at::kDouble);
    at::Tensor kept = h.clone();
    for (int64_t token = 0; token < h.size(0); ++token) {
      at::Tensor additions = at::zeros({kNeurons}, at::kDouble);
      for (int64_t neuron = 0; neuron < kNeurons; ++neuron) {
        additions[neuron] = ((h[token][neuron] - mean[neuron]) * down_proj.select(1, neuron)).norm();
      }
      const at::Tensor dropped = additions.argsort().narrow(0, 0, num_dropped_);
      kept[token].index_copy_(0, dropped, mean.index_select(0, dropped));
    }
    return kept.matmul(down_proj.t()).to(hidden.scalar_type());
  }

 private:
  GatedMlpWeights dense_;
  int64_t num_dropped_;
};

class LayerSensitivityTest : public testing::Test {
 protected:
  LayerSensitivityTest() {
    for (uint64_t domain = 0; domain < 2; ++domain) {
      text_.domains.push_back("domain " + std::to_string(domain));
      text_.windows.push_back(at::randint(67, {2, 8}, at::detail::createCPUGenerator(domain), at::kLong));
    }
  }

  static LlamaConfig config() {
    LlamaConfig config = tiny_llama_config();
    config.intermediate_size = kNeurons;
    config.num_layers = 3;
    return config;
  }

  std::vector<LayerSensitivity> measure(const Precision& precision = {}) const {
    return measure_sensitivity({.checkpoint = checkpoint_, .precision = precision, .text = &text_, .shape = shape_});
  }

  // ||final hidden - dense one||^2 / ||dense one||^2, mean over tokens, of the model with this layer pruned.
  double movement(int64_t layer, int64_t num_dropped) const {
    const at::NoGradGuard no_grad;
    const at::Tensor ids = at::cat(text_.windows);
    LlamaModel model = LlamaModel::load(checkpoint_, {});
    const at::Tensor dense = model.forward(ids);
    LlamaLayer& slot = model.layers()[layer];
    slot.replace_feed_forward(std::make_shared<WithoutLeast>(slot.dense_weights(), num_dropped));
    const at::Tensor difference = model.forward(ids) - dense;
    return (difference.square().sum(-1) / dense.square().sum(-1)).mean().item<double>();
  }

  const MoeShape shape_;
  MemoryCheckpoint checkpoint_{config()};
  CalibrationText text_;
};

TEST_F(LayerSensitivityTest, LawGoesThroughWhatTheWholeModelDoesWithPartsOfOneLayer) {
  const std::vector<LayerSensitivity> sensitivities = measure();
  ASSERT_EQ(sensitivities.size(), 3u);
  for (int64_t layer = 0; layer < 3; ++layer) {
    const double quarter = movement(layer, kNeurons / 4), half = movement(layer, kNeurons / 2);
    ASSERT_GT(half, 2 * quarter);  // else no convex law goes through both
    EXPECT_NEAR(sensitivities[layer].movement(0.25), quarter, 1e-3 * quarter);
    EXPECT_NEAR(sensitivities[layer].movement(0.5), half, 1e-3 * half);
    EXPECT_EQ(sensitivities[layer].movement(0), 0);
  }
}

TEST_F(LayerSensitivityTest, LayerThatWritesNothingMovesNothing) {
  checkpoint_.tensor("model.layers.1.mlp.down_proj.weight").zero_();
  const std::vector<LayerSensitivity> sensitivities = measure();
  EXPECT_EQ(sensitivities[1].movement(0.5), 0);
  EXPECT_GT(sensitivities[0].movement(0.5), 0);
  EXPECT_GT(sensitivities[2].movement(0.5), 0);
}

TEST_F(LayerSensitivityTest, LayerThatWritesMoreMovesMore) {
  const double before = measure()[1].movement(0.5);
  checkpoint_.tensor("model.layers.1.mlp.down_proj.weight").mul_(2);
  EXPECT_GT(measure()[1].movement(0.5), before);
}

TEST_F(LayerSensitivityTest, BrainFloatMeasuresTheSameToItsRounding) {
  const std::vector<LayerSensitivity> exact = measure(), rounded = measure({.dtype = at::kBFloat16});
  for (size_t layer = 0; layer < 3; ++layer) {
    EXPECT_NEAR(rounded[layer].movement(0.5), exact[layer].movement(0.5), 0.1 * exact[layer].movement(0.5));
  }
}

TEST_F(LayerSensitivityTest, EveryDomainIsRead) {
  text_.domains.assign(24, "same");
  text_.windows.assign(24, text_.windows[0].repeat({1, 20}).narrow(1, 0, 90));
  const double before = measure()[0].movement(0.5);
  for (const size_t domain : {0, 1, 12, 23}) {
    const at::Tensor same = std::exchange(text_.windows[domain], text_.windows[domain].flip(1));
    EXPECT_NE(measure()[0].movement(0.5), before) << domain;
    text_.windows[domain] = same;
  }
}

}  // namespace
}  // namespace moebench
