#include "harness/evidence/neuron_gradients.h"

#include <stdexcept>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/methods/golden_arrays.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

using Options = ImportanceOptions;

LlamaConfig two_layers() {
  LlamaConfig config = tiny_llama_config();
  config.max_position_embeddings = 600;
  return config;
}

at::Tensor random_ids(at::IntArrayRef sizes, uint64_t seed) {
  return at::randint(67, sizes, at::detail::createCPUGenerator(seed), at::kLong);
}

// What autograd says when it watches the weights: per layer, sum over tokens of h dL/dh, since that is how the loss
// changes when a neuron's column of down_proj is scaled.
std::vector<at::Tensor> feature_changes_by_autograd(const Checkpoint& checkpoint, const at::Tensor& ids) {
  LlamaModel model = LlamaModel::load(checkpoint, {});
  for (const LlamaLayer& layer : model.layers()) layer.dense_weights().down_proj.requires_grad_();
  const int64_t num_targets = ids.size(0) - 1;
  const at::Tensor logits = model.logits(model.forward(ids.unsqueeze(0))).squeeze(0);
  at::cross_entropy_loss(logits.narrow(0, 0, num_targets), ids.narrow(0, 1, num_targets)).backward();
  std::vector<at::Tensor> changes;
  for (const LlamaLayer& layer : model.layers()) {
    const at::Tensor& down_proj = layer.dense_weights().down_proj;
    changes.push_back((down_proj.detach() * down_proj.grad()).sum(0));
  }
  return changes;
}

// 600 tokens: the head is computed in slices of fewer.
TEST(NeuronGradientsTest, GradientsAreAutogradsInEveryLayerOfEveryWindow) {
  const MemoryCheckpoint checkpoint(two_layers());
  const std::vector<at::Tensor> windows{random_ids({600}, 1), random_ids({37}, 2)};
  int64_t visits = 0;
  for_each_neuron_gradient(checkpoint, {}, windows, [&](const NeuronGradients& seen) {
    EXPECT_EQ(seen.window, visits / 2);
    EXPECT_EQ(seen.layer, 1 - visits % 2);
    ++visits;
    const c10::AutoGradMode with_gradients(true);
    const at::Tensor expected = feature_changes_by_autograd(checkpoint, windows[seen.window])[seen.layer];
    const at::Tensor products = seen.activations * seen.gradients;
    const at::Tensor bound = 1e-5 * products.abs().sum(0);
    EXPECT_TRUE(((products.sum(0) - expected).abs() <= bound).all().item<bool>()) << "layer " << seen.layer;
  });
  EXPECT_EQ(visits, 4);
}

TEST(NeuronGradientsTest, InputsAreWhatTheFeedForwardNetworkSees) {
  const MemoryCheckpoint checkpoint(two_layers());
  for_each_neuron_gradient(checkpoint, {}, {random_ids({20}, 1)}, [&](const NeuronGradients& seen) {
    const GatedMlpWeights weights = LlamaLayer::load(checkpoint, seen.layer, {}).dense_weights();
    EXPECT_TRUE(at::allclose(gated_activations(weights, seen.inputs), seen.activations, 1e-5, 1e-6));
  });
}

TEST(NeuronGradientsTest, WindowWithoutANextTokenIsRefused) {
  const MemoryCheckpoint checkpoint(two_layers());
  EXPECT_THAT([&] { for_each_neuron_gradient(checkpoint, {}, {random_ids({1}, 1)}, [](const NeuronGradients&) {}); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("next token")));
}

class NeuronImportance : public testing::Test {
 protected:
  std::vector<at::Tensor> importance(const Options& options = {}, const Precision& precision = {}) const {
    return neuron_importance(checkpoint_, precision, clusters_, options);
  }

  MemoryCheckpoint checkpoint_{two_layers()};
  std::vector<at::Tensor> clusters_{random_ids({3, 40}, 1), random_ids({2, 30}, 2)};
};

TEST_F(NeuronImportance, NeuronThatTheOutputIgnoresHasNone) {
  checkpoint_.tensor("model.layers.1.mlp.down_proj.weight").select(1, 5).zero_();
  const at::Tensor layer = importance().at(1);
  EXPECT_EQ(layer.select(1, 5).abs().max().item<float>(), 0);
  EXPECT_GT(layer.select(1, 6).min().item<float>(), 0);
}

TEST_F(NeuronImportance, OrderOfAClustersWindowsDoesNotMatter) {
  const std::vector<at::Tensor> before = importance();
  clusters_[0] = clusters_[0].flip(0);
  const std::vector<at::Tensor> after = importance();
  for (size_t layer = 0; layer < 2; ++layer) EXPECT_TRUE(at::allclose(before[layer], after[layer], 1e-6, 0));
}

TEST_F(NeuronImportance, ClustersAreApart) {
  const std::vector<at::Tensor> both = importance();
  clusters_[0] = random_ids({1, 20}, 9);
  const std::vector<at::Tensor> other = importance();
  for (size_t layer = 0; layer < 2; ++layer) {
    EXPECT_FALSE(both[layer][0].equal(other[layer][0]));
    EXPECT_TRUE(at::allclose(both[layer][1], other[layer][1], 1e-6, 0));
  }
}

TEST_F(NeuronImportance, BrainFloatRanksNeuronsAsFullPrecisionDoes) {
  const std::vector<at::Tensor> exact = importance(), rough = importance({}, {.dtype = at::kBFloat16});
  for (size_t layer = 0; layer < 2; ++layer) {
    EXPECT_GT(at::cosine_similarity(exact[layer], rough[layer], 1).min().item<float>(), 0.99);
  }
}

// The one-layer model whose importance LLaMA-MoE's released hooks measured, window by window.
class PublishedImportance : public testing::Test {
 protected:
  void SetUp() override {
    const std::optional<GoldenArrays> golden = GoldenArrays::read("a2_llamamoe");
    if (!golden) GTEST_SKIP() << "no reference outputs of LLaMA-MoE's code (golden/methods/a2_llamamoe)";
    golden_ = golden;
    for (const std::string& name : checkpoint_.names()) checkpoint_.tensor(name) = (*golden)["lm." + name];
  }

  static LlamaConfig one_layer() {
    LlamaConfig config = tiny_llama_config();
    config.hidden_size = 64;
    config.intermediate_size = 176;
    config.num_layers = 1;
    config.num_attention_heads = 4;
    config.num_key_value_heads = 2;
    config.head_dim = 16;
    config.vocab_size = 97;
    config.rms_norm_eps = 1e-6;
    config.rope_theta = 10000;
    config.tie_word_embeddings = false;
    return config;
  }

  at::Tensor importance(const Options& options) const {
    return neuron_importance(checkpoint_, {}, (*golden_)["imp_ids"].unbind(0), options).at(0);
  }
  at::Tensor published(const std::string& settings) const { return (*golden_)["imp_" + settings]; }

  MemoryCheckpoint checkpoint_{one_layer()};
  std::optional<GoldenArrays> golden_;
};

TEST_F(PublishedImportance, FeatureChange) {
  EXPECT_TRUE(at::allclose(importance({}), published("l1_norm_sample_feature_change"), 1e-5, 0));
}

TEST_F(PublishedImportance, FeatureGradient) {
  EXPECT_TRUE(at::allclose(importance({.quantity = Options::Quantity::kFeatureGradient}),
                           published("l1_norm_sample_feature_grad"), 1e-5, 0));
}

TEST_F(PublishedImportance, SquaredNorm) {
  EXPECT_TRUE(at::allclose(importance({.kernel = Options::Kernel::kL2Norm}), published("l2_norm_sample_feature_change"),
                           1e-5, 0));
}

// Terms cancel in the total, so rounding is measured against the sum of their magnitudes.
TEST_F(PublishedImportance, Total) {
  const at::Tensor difference =
      importance({.accumulate = Options::Accumulate::kTotal}) - published("l1_norm_total_feature_change");
  EXPECT_TRUE((difference.abs() <= 1e-5 * published("l1_norm_sample_feature_change")).all().item<bool>());
}

}  // namespace
}  // namespace moebench
