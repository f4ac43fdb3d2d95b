// Expected values: counts by hand, and the activated parameters that the papers give for these models.
#include "harness/model/parameter_count.h"

#include <gtest/gtest.h>

namespace moebench {
namespace {

LlamaConfig smollm2_135m() {
  return {.hidden_size = 576,
          .intermediate_size = 1536,
          .num_layers = 30,
          .num_attention_heads = 9,
          .num_key_value_heads = 3,
          .head_dim = 64,
          .vocab_size = 49152,
          .tie_word_embeddings = true};
}

LlamaConfig tiny_llama_1b() {
  return {.hidden_size = 2048,
          .intermediate_size = 5632,
          .num_layers = 22,
          .num_attention_heads = 32,
          .num_key_value_heads = 4,
          .head_dim = 64,
          .vocab_size = 32000};
}

LlamaConfig llama2_7b() {
  return {.hidden_size = 4096,
          .intermediate_size = 11008,
          .num_layers = 32,
          .num_attention_heads = 32,
          .num_key_value_heads = 32,
          .head_dim = 128,
          .vocab_size = 32000};
}

LlamaConfig llama3_8b() {
  return {.hidden_size = 4096,
          .intermediate_size = 14336,
          .num_layers = 32,
          .num_attention_heads = 32,
          .num_key_value_heads = 8,
          .head_dim = 128,
          .vocab_size = 128256};
}

// Experts of equal size, the shared ones fused, every layer alike.
struct Layout {
  int64_t num_shared, top_k, num_experts;
  double expert_share;  // neurons of an expert over intermediate_size
  int64_t router_parameters;
};

FeedForwardCounts counts(const LlamaConfig& config, const Layout& layout) {
  const auto neurons = static_cast<int64_t>(layout.expert_share * static_cast<double>(config.intermediate_size));
  const auto num_routed = static_cast<size_t>(layout.num_experts - layout.num_shared);
  return {.always_active = layout.num_shared * 3 * config.hidden_size * neurons + layout.router_parameters,
          .always_active_neurons = layout.num_shared * neurons,
          .expert_parameters = std::vector<int64_t>(num_routed, 3 * config.hidden_size * neurons),
          .expert_neurons = std::vector<int64_t>(num_routed, neurons)};
}

double base(const LlamaConfig& config) {
  return static_cast<double>(embedding_parameters(config) + attention_and_norm_parameters(config));
}

double active_billions(const LlamaConfig& config, const Layout& layout) {
  const ExpertVisits visits = even_visits(layout.num_experts - layout.num_shared, layout.top_k);
  return (base(config) + static_cast<double>(config.num_layers) * active_parameters(counts(config, layout), visits)) /
         1e9;
}

double stored_billions(const LlamaConfig& config, const Layout& layout) {
  return (base(config) + static_cast<double>(config.num_layers * counts(config, layout).stored())) / 1e9;
}

double dense_billions(const LlamaConfig& config) {
  return (base(config) + static_cast<double>(config.num_layers * dense_feed_forward_counts(config).stored())) / 1e9;
}

TEST(ParameterCountTest, DenseModelsHaveTheirPublishedSize) {
  EXPECT_DOUBLE_EQ(dense_billions(smollm2_135m()) * 1e9, 134515008);
  EXPECT_NEAR(dense_billions(tiny_llama_1b()), 1.1000, 5e-5);
  EXPECT_NEAR(dense_billions(llama2_7b()), 6.7384, 5e-5);
  EXPECT_NEAR(dense_billions(llama3_8b()), 8.0303, 5e-5);
}

TEST(ParameterCountTest, BaseIsTheModelWithoutFeedForward) {
  EXPECT_NEAR(base(tiny_llama_1b()) / 1e9, 0.3388, 5e-5);
  EXPECT_NEAR(base(llama2_7b()) / 1e9, 2.4099, 5e-5);
  EXPECT_NEAR(base(llama3_8b()) / 1e9, 2.3931, 5e-5);
}

TEST(ParameterCountTest, TiedEmbeddingsAreCountedOnce) {
  LlamaConfig config = smollm2_135m();
  EXPECT_EQ(embedding_parameters(config), 49152 * 576);
  config.tie_word_embeddings = false;
  EXPECT_EQ(embedding_parameters(config), 2 * 49152 * 576);
}

TEST(ParameterCountTest, BiasesAndHeadNormsAreCounted) {
  LlamaConfig config = smollm2_135m();
  const int64_t plain = attention_and_norm_parameters(config);
  config.attention_bias = true;
  EXPECT_EQ(attention_and_norm_parameters(config) - plain, 30 * (576 + 192 + 192));
  config.attention_bias = false;
  config.qk_norm = true;
  EXPECT_EQ(attention_and_norm_parameters(config) - plain, 30 * (64 + 64));
}

// LLaMA-MoE's router is d E + E².
TEST(ParameterCountTest, LlamaMoeMatchesTheTable) {
  const auto layout = [](const LlamaConfig& config, int64_t top_k, int64_t num_experts) {
    return Layout{0, top_k, num_experts, 1.0 / static_cast<double>(num_experts),
                  config.hidden_size * num_experts + num_experts * num_experts};
  };
  EXPECT_NEAR(active_billions(tiny_llama_1b(), layout(tiny_llama_1b(), 2, 16)), 0.4347, 5e-5);
  EXPECT_NEAR(active_billions(tiny_llama_1b(), layout(tiny_llama_1b(), 4, 16)), 0.5298, 5e-5);
  EXPECT_NEAR(active_billions(llama2_7b(), layout(llama2_7b(), 2, 16)), 2.953, 5e-4);
  EXPECT_NEAR(active_billions(llama2_7b(), layout(llama2_7b(), 2, 8)), 3.493, 5e-4);
  EXPECT_NEAR(active_billions(llama3_8b(), layout(llama3_8b(), 4, 16)), 3.805, 5e-4);
}

// CMoE's router is 2 d (E - S): two rows for each routed expert.
TEST(ParameterCountTest, CmoeMatchesTheTable) {
  const auto layout = [](const LlamaConfig& config, int64_t num_shared, int64_t top_k, int64_t num_experts) {
    return Layout{num_shared, top_k, num_experts, 1.0 / static_cast<double>(num_experts),
                  2 * config.hidden_size * (num_experts - num_shared)};
  };
  EXPECT_NEAR(active_billions(tiny_llama_1b(), layout(tiny_llama_1b(), 2, 2, 16)), 0.5304, 5e-5);
  EXPECT_NEAR(active_billions(tiny_llama_1b(), layout(tiny_llama_1b(), 1, 3, 8)), 0.7200, 5e-5);
  EXPECT_NEAR(active_billions(tiny_llama_1b(), layout(tiny_llama_1b(), 3, 3, 8)), 0.9102, 5e-5);
  EXPECT_NEAR(active_billions(llama2_7b(), layout(llama2_7b(), 1, 5, 8)), 5.658, 5e-4);
  EXPECT_NEAR(active_billions(llama3_8b(), layout(llama3_8b(), 3, 3, 8)), 6.622, 5e-4);
}

// DIVE's experts overlap: it stores E · keep times the dense network.
TEST(ParameterCountTest, OverlappingExpertsAreStoredEach) {
  const LlamaConfig config = tiny_llama_1b();
  EXPECT_NEAR(active_billions(config, {0, 1, 8, 0.5, 8 * config.hidden_size}), 0.7198, 5e-5);
  EXPECT_NEAR(stored_billions(config, {0, 1, 8, 0.5, 8 * config.hidden_size}), 3.384, 5e-4);
  EXPECT_NEAR(stored_billions(config, {0, 2, 8, 0.25, 8 * config.hidden_size}), 1.862, 5e-4);
}

TEST(ParameterCountTest, SmolLm2WithThreeSharedAndThreeOfFiveExpertsByHand) {
  // 576 · 1152 · 3 for six experts of 192 neurons, and five router rows in gate and up.
  const Layout layout{3, 3, 8, 0.125, 2 * 576 * 5};
  EXPECT_DOUBLE_EQ(active_parameters(counts(smollm2_135m(), layout), even_visits(5, 3)), 576 * 1152 * 3 + 5760);
  EXPECT_DOUBLE_EQ(active_neurons(counts(smollm2_135m(), layout), even_visits(5, 3)), 1152);
}

TEST(ParameterCountTest, EqualExpertsCountTheSameWhoeverIsVisited) {
  const FeedForwardCounts layer = counts(smollm2_135m(), {1, 2, 8, 0.125, 100});
  const ExpertVisits uneven{{10, 0, 0, 0, 0, 3, 7}, 10};  // two a token
  EXPECT_EQ(active_parameters(layer, uneven), active_parameters(layer, even_visits(7, 2)));
}

TEST(ParameterCountTest, UnequalExpertsAreWeighedByTheirVisits) {
  const FeedForwardCounts layer{.always_active = 5, .expert_parameters = {100, 10}, .expert_neurons = {20, 2}};
  EXPECT_DOUBLE_EQ(active_parameters(layer, {{1, 3}, 4}), 5 + (100 + 3 * 10) / 4.0);
  EXPECT_DOUBLE_EQ(active_neurons(layer, {{1, 3}, 4}), (20 + 3 * 2) / 4.0);
}

TEST(ParameterCountTest, AStaticLayerUsesWhatItAlwaysUses) {
  const FeedForwardCounts layer{.always_active = 42, .always_active_neurons = 7};
  EXPECT_EQ(active_parameters(layer, even_visits(0, 0)), 42);
  EXPECT_EQ(layer.stored(), 42);
}

}  // namespace
}  // namespace moebench
