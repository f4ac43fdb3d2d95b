// The feed-forward networks of a tiny model as kernels/timing gets them, and whole models in turns.
#include <cmath>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>

#include "harness/latency/end_to_end.h"
#include "harness/latency/model_stacks.h"
#include "harness/model/moe_layer.h"
#include "kernels/reference.h"
#include "tests/model/memory_checkpoint.h"

namespace moebench {
namespace {

class LatencyTest : public testing::Test {
 protected:
  // Layer 0 becomes two experts of which one is visited, layer 1 stays dense.
  void convert(RouterKind router) {
    const int64_t neurons = model_.config().intermediate_size, hidden_size = model_.config().hidden_size;
    LayerConversion mixture{.experts = {{.neurons = at::arange(0, neurons, 2, at::kLong)},
                                        {.neurons = at::arange(1, neurons, 2, at::kLong)}},
                            .top_k = 1};
    mixture.router.kind = router;
    if (router == RouterKind::kLinear) mixture.router.tensors["weight"] = at::randn({2, hidden_size});
    apply_conversion({.layers = {mixture, {.keep_dense = true}}}, model_);
  }

  LlamaModel model_ = LlamaModel::load(MemoryCheckpoint(tiny_llama_config()), {});
  const at::Tensor ids_ = at::arange(24, at::kLong);
};

TEST_F(LatencyTest, DenseModelIsOneStack) {
  const ModelStacks stacks = model_stacks(model_, ids_);
  ASSERT_EQ(stacks.stacks.size(), 1u);
  EXPECT_EQ(stacks.stacks[0].layers.size(), model_.layers().size());
}

TEST_F(LatencyTest, NetworksOnTheirInputsComputeWhatTheModelDoes) {
  convert(RouterKind::kLinear);
  const ModelStacks stacks = model_stacks(model_, ids_);
  ASSERT_EQ(stacks.stacks.size(), 2u);
  const c10::InferenceMode inference;
  for (size_t layer = 0; layer < model_.layers().size(); ++layer) {
    const at::Tensor& input = stacks.inputs[layer];
    const at::Tensor dense = GatedMlp(model_.layers()[layer].dense_weights()).forward_by_operators(input);
    const at::Tensor converted = model_.layers()[layer].feed_forward().forward(input);
    for (const auto& [stack, expected] : {std::pair(0, dense), {1, converted}}) {
      at::Tensor output = at::empty_like(input);
      kernels::make_reference(stacks.stacks[stack].layers[layer])
          ->run({.num_tokens = input.size(0),
                 .input = stacks.stacks[stack].inputs[layer],
                 .input_stride = input.size(1),
                 .output = output.data_ptr(),
                 .output_stride = input.size(1)});
      EXPECT_LT((output - expected).abs().max().item<double>(), 1e-5) << "layer " << layer << " stack " << stack;
    }
  }
}

TEST_F(LatencyTest, DenseParentIsTheModelWithoutItsMixtures) {
  const c10::InferenceMode inference;
  const at::Tensor before = model_.forward(ids_.unsqueeze(0));
  convert(RouterKind::kLinear);
  EXPECT_FALSE(model_.forward(ids_.unsqueeze(0)).equal(before));
  EXPECT_TRUE(with_dense_feed_forward(model_).forward(ids_.unsqueeze(0)).equal(before));
}

TEST_F(LatencyTest, ABoundIsRefused) {
  convert(RouterKind::kOracle);
  EXPECT_THAT([&] { model_stacks(model_, ids_); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("oracle router")));
}

TEST_F(LatencyTest, EndToEndTimesBothPhasesOfBothModels) {
  convert(RouterKind::kLinear);
  const auto phases = measure_end_to_end(
      model_, ids_, {.prefill_tokens = 16, .decode_tokens = 3, .limits = {.min_rounds = 4, .seconds = 0}});
  ASSERT_EQ(phases.size(), 2u);
  EXPECT_EQ(phases[0].phase, "prefill");
  EXPECT_EQ(phases[0].tokens, 16);
  EXPECT_EQ(phases[1].phase, "decode");
  EXPECT_EQ(phases[1].tokens, 3);
  for (const PhaseLatency& phase : phases) {
    EXPECT_EQ(phase.dense_seconds.size(), 4u);
    EXPECT_EQ(phase.converted_seconds.size(), 4u);
    EXPECT_GT(phase.ratio.median, 0);
  }
}

TEST_F(LatencyTest, EndToEndOfADenseModelHasNoRatio) {
  const auto phases = measure_end_to_end(
      model_, ids_, {.prefill_tokens = 16, .decode_tokens = 3, .limits = {.min_rounds = 3, .seconds = 0}});
  for (const PhaseLatency& phase : phases) EXPECT_TRUE(phase.converted_seconds.empty());
  EXPECT_THAT([&] { measure_end_to_end(model_, ids_, {.prefill_tokens = 23, .decode_tokens = 2}); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("but the text has 24")));
}

// SmolLM2-135M by its configuration: 30 x 3 x 576 x 1536 of all weights but the input embedding, which is tied.
TEST(FeedForwardShareTest, IsThatOfTheWeightsThatATokenReads) {
  LlamaConfig config;
  config.hidden_size = 576;
  config.intermediate_size = 1536;
  config.num_layers = 30;
  config.num_attention_heads = 9;
  config.num_key_value_heads = 3;
  config.head_dim = 64;
  config.vocab_size = 49152;
  config.tie_word_embeddings = true;
  const double feed_forward = 30.0 * 3 * 576 * 1536;
  const double attention = 30.0 * (2 * 576 * 576 + 2 * 576 * 192 + 2 * 576) + 576;
  EXPECT_DOUBLE_EQ(feed_forward_share(config), feed_forward / (feed_forward + attention + 49152.0 * 576));
}

}  // namespace
}  // namespace moebench
