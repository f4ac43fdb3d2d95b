#include "harness/model/llama.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/model/weight.h"
#include "tests/model/double_llama.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

const Precision kFp32;

at::Tensor random_ids(int64_t batch, int64_t num_tokens, int64_t vocab_size) {
  return at::randint(vocab_size, {batch, num_tokens}, at::detail::createCPUGenerator(7), at::kLong);
}

double largest_difference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

std::vector<std::pair<std::string, LlamaConfig>> architectures() {
  std::vector<std::pair<std::string, LlamaConfig>> result;
  LlamaConfig config = tiny_llama_config();
  result.emplace_back("tied Llama", config);
  config.tie_word_embeddings = false;
  result.emplace_back("untied Llama", config);
  config.rope_scaling = {
      .factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_max_position_embeddings = 40};
  config.rope_theta = 100;
  result.emplace_back("Llama 3 RoPE scaling", config);
  config = tiny_llama_config();
  config.sliding_window = 9;
  result.emplace_back("Mistral, sliding window", config);
  config = tiny_llama_config();
  config.attention_bias = true;
  result.emplace_back("Qwen2, q/k/v bias", config);
  config = tiny_llama_config();
  config.qk_norm = true;
  config.head_dim = 12;
  result.emplace_back("Qwen3, q/k norm and explicit head_dim", config);
  config = tiny_llama_config();
  config.num_key_value_heads = 4;
  result.emplace_back("a key/value head for every head", config);
  return result;
}

class ArchitectureTest : public testing::TestWithParam<std::pair<std::string, LlamaConfig>> {
 protected:
  const LlamaConfig config_ = GetParam().second;
  const MemoryCheckpoint checkpoint_{config_};
  const LlamaModel model_ = LlamaModel::load(checkpoint_, kFp32);
  const at::NoGradGuard no_grad_;
};

TEST_P(ArchitectureTest, LogitsEqualTheDefinitionInDouble) {
  const at::Tensor ids = random_ids(1, 40, config_.vocab_size);
  const at::Tensor logits = model_.logits(model_.forward(ids))[0];
  const std::vector<Vector> expected =
      double_llama_logits(checkpoint_, std::vector<int64_t>(ids.data_ptr<int64_t>(), ids.data_ptr<int64_t>() + 40));
  for (int64_t token = 0; token < 40; ++token) {
    const at::Tensor row = at::tensor(expected[token], at::kDouble);
    EXPECT_LT(largest_difference(logits[token].to(at::kDouble), row), 1e-5) << "token " << token;
  }
}

TEST_P(ArchitectureTest, CachedChunksOfAnySizeEqualTheFullPass) {
  const at::Tensor ids = random_ids(2, 40, config_.vocab_size);
  const at::Tensor full = model_.forward(ids);
  for (const int64_t chunk : {1, 3, 16, 40}) {
    KvCache cache(config_.num_layers);
    std::vector<at::Tensor> parts;
    for (int64_t start = 0; start < 40; start += chunk) {
      parts.push_back(model_.forward(ids.slice(1, start, start + chunk), &cache));
    }
    EXPECT_EQ(cache.length(), 40);
    EXPECT_LT(largest_difference(at::cat(parts, 1), full), 1e-5) << "chunks of " << chunk;
  }
}

TEST_P(ArchitectureTest, TruncatingTheCacheRewindsExactly) {
  const at::Tensor ids = random_ids(1, 40, config_.vocab_size);
  KvCache cache(config_.num_layers);
  model_.forward(ids.slice(1, 0, 20), &cache);
  const at::Tensor first = model_.forward(ids.slice(1, 20, 28), &cache);
  model_.forward(ids.slice(1, 30, 40), &cache);
  cache.truncate(20);
  EXPECT_TRUE(at::equal(model_.forward(ids.slice(1, 20, 28), &cache), first));
}

TEST_P(ArchitectureTest, LaterTokensDoNotChangeEarlierOnes) {
  const at::Tensor ids = random_ids(1, 40, config_.vocab_size);
  const at::Tensor prefix = model_.forward(ids.slice(1, 0, 25));
  EXPECT_LT(largest_difference(model_.forward(ids).slice(1, 0, 25), prefix), 1e-5);
}

TEST_P(ArchitectureTest, RowsOfABatchDoNotMix) {
  const at::Tensor ids = random_ids(3, 20, config_.vocab_size);
  const at::Tensor together = model_.forward(ids);
  for (int64_t row = 0; row < 3; ++row) {
    EXPECT_LT(largest_difference(together[row], model_.forward(ids.slice(0, row, row + 1))[0]), 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Llama, ArchitectureTest, testing::ValuesIn(architectures()), [](const auto& info) {
  std::string name = info.param.first;
  std::erase_if(name, [](char letter) { return !std::isalnum(static_cast<unsigned char>(letter)); });
  return name;
});

TEST(LlamaTest, LayersLoadedOneByOneMakeTheModel) {
  const LlamaConfig config = tiny_llama_config();
  const MemoryCheckpoint checkpoint(config);
  const at::Tensor ids = random_ids(2, 16, config.vocab_size);
  const LlamaModel model = LlamaModel::load(checkpoint, kFp32);
  at::Tensor whole = embed(checkpoint, ids, kFp32), streamed = whole;
  for (int64_t index = 0; index < config.num_layers; ++index) {
    whole = model.layers()[index].forward(whole);
    streamed = LlamaLayer::load(checkpoint, index, kFp32).forward(streamed);
  }
  EXPECT_TRUE(at::equal(whole, streamed));
}

TEST(LlamaTest, LayerIsAttentionThenFeedForwardOfItsInput) {
  const LlamaConfig config = tiny_llama_config();
  const MemoryCheckpoint checkpoint(config);
  const LlamaLayer layer = LlamaLayer::load(checkpoint, 1, kFp32);
  const at::Tensor residual = embed(checkpoint, random_ids(1, 16, config.vocab_size), kFp32);
  const at::Tensor attended = layer.attend(residual);
  const at::Tensor hidden = layer.feed_forward_input(attended)[0];
  const at::Tensor expected = attended[0] + GatedMlp(layer.dense_weights()).forward(hidden);
  EXPECT_TRUE(at::equal(layer.forward(residual)[0], expected));
}

class ZeroFeedForward : public FeedForward {
 public:
  at::Tensor forward(const at::Tensor& hidden) const override { return at::zeros_like(hidden); }
};

TEST(LlamaTest, ReplacedFeedForwardIsUsedAndTheDenseWeightsStay) {
  const LlamaConfig config = tiny_llama_config();
  const MemoryCheckpoint checkpoint(config);
  LlamaLayer layer = LlamaLayer::load(checkpoint, 0, kFp32);
  const at::Tensor residual = embed(checkpoint, random_ids(1, 16, config.vocab_size), kFp32);
  layer.replace_feed_forward(std::make_shared<ZeroFeedForward>());
  EXPECT_TRUE(at::equal(layer.forward(residual), layer.attend(residual)));
  EXPECT_TRUE(
      at::equal(layer.dense_weights().up_proj, checkpoint.load("model.layers.0.mlp.up_proj.weight", at::kFloat)));
}

TEST(LlamaTest, GradientsReachTheWeights) {
  const LlamaConfig config = tiny_llama_config();
  const MemoryCheckpoint checkpoint(config);
  const at::Tensor ids = random_ids(1, 16, config.vocab_size);
  const LlamaModel model = LlamaModel::load(checkpoint, kFp32);
  {
    const c10::InferenceMode inference;  // what it caches must not hinder the pass with gradients
    model.forward(ids);
  }
  const auto loss = [&](const LlamaModel& of) { return of.logits(of.forward(ids)).logsumexp(-1).sum(); };
  const GatedMlpWeights& weights = model.layers()[0].dense_weights();
  for (auto [name, weight] :
       {std::pair("gate", weights.gate_proj), {"up", weights.up_proj}, {"down", weights.down_proj}}) {
    weight.requires_grad_();
    loss(model).backward();
    const double slope = weight.grad()[3][5].item<double>();
    weight.requires_grad_(false);

    const double step = 1e-2;
    const auto loss_beside = [&](double distance) {
      LlamaModel changed = model;
      at::Tensor other = weight.detach().clone();
      other[3][5] += distance;
      changed.replace_weight(std::string("model.layers.0.mlp.") + name + "_proj.weight", other);
      return loss(changed).item<double>();
    };
    EXPECT_NEAR(slope, (loss_beside(step) - loss_beside(-step)) / (2 * step), 1e-2);
  }
}

TEST(LlamaTest, TextLongerThanThePositionsIsRefused) {
  const LlamaConfig config = tiny_llama_config();
  const LlamaModel model = LlamaModel::load(MemoryCheckpoint(config), kFp32);
  EXPECT_NO_THROW(model.forward(random_ids(1, 96, config.vocab_size)));
  try {
    model.forward(random_ids(1, 97, config.vocab_size));
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("97 tokens"), std::string::npos) << error.what();
  }
}

TEST(LlamaTest, AWeightThatIsNotFiniteIsRefusedByName) {
  MemoryCheckpoint checkpoint(tiny_llama_config());
  for (const std::string& name : checkpoint.names()) {
    for (const double value : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      at::Tensor& tensor = checkpoint.tensor(name);
      const at::Tensor sound = tensor.clone();
      tensor.view(-1)[-1] = value;
      EXPECT_THAT([&] { LlamaModel::load(checkpoint, kFp32); },
                  testing::ThrowsMessage<std::runtime_error>(testing::HasSubstr(name)));
      tensor = sound;
    }
  }
  EXPECT_NO_THROW(LlamaModel::load(checkpoint, kFp32));
}

TEST(LlamaTest, LargeFiniteWeightsAreNotMistaken) {
  EXPECT_TRUE(all_finite(at::full({8}, 3e38f)));
  EXPECT_FALSE(all_finite(at::tensor({INFINITY, -INFINITY})));
}

TEST(LlamaTest, IdOutsideTheVocabularyIsRefused) {
  const LlamaModel model = LlamaModel::load(MemoryCheckpoint(tiny_llama_config()), kFp32);
  EXPECT_THROW(model.forward(at::tensor({3L, 67L}).unsqueeze(0)), std::invalid_argument);
  EXPECT_THROW(model.forward(at::tensor({3L, -1L}).unsqueeze(0)), std::invalid_argument);
  EXPECT_THROW(model.forward(at::empty({1, 0}, at::kLong)), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
