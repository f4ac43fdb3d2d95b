// GGUF files as checkpoints: the same model as the Hugging Face directory they were made from.
#include <cmath>
#include <numbers>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/checkpoint/checkpoint.h"
#include "tests/fixtures/refusal.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/fixtures/tiny_checkpoint.h"
#include "tests/fixtures/tiny_gguf.h"

namespace moebench {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class GgufCheckpointTest : public testing::Test {
 protected:
  std::filesystem::path write(const GgufBuilder& builder) const { return folder_.write("x.gguf", builder.build()); }

  // The tiny Llama, with more metadata and tensors.
  std::string refusal_with(const std::function<void(GgufBuilder&)>& change) const {
    const auto hf = write_tiny_checkpoint(folder_ / "hf");
    GgufBuilder builder = tiny_gguf_metadata(hf);
    for (const GgufTensorSpec& tensor : tiny_gguf_tensors(hf)) builder.add_tensor(tensor);
    change(builder);
    return refusal([&] { open_checkpoint(write(builder)); });
  }

  TemporaryFolder folder_;
};

class GgufArchitectureTest : public GgufCheckpointTest, public testing::WithParamInterface<const char*> {};

// For arch llama the file holds query and key rows in another order; loading undoes it.
TEST_P(GgufArchitectureTest, EveryTensorEqualsTheHuggingFaceOne) {
  for (const bool tied : {true, false}) {
    const auto hf_folder =
        write_tiny_checkpoint(folder_ / "hf", {.architecture = GetParam(), .tie_word_embeddings = tied});
    const auto hf = open_checkpoint(hf_folder);
    const auto gguf = open_checkpoint(write_tiny_gguf(folder_ / "model.gguf", hf_folder));
    EXPECT_EQ(gguf->names(), hf->names());
    for (const std::string& name : hf->names()) {
      EXPECT_TRUE(at::equal(gguf->load(name, at::kFloat), hf->load(name, at::kFloat))) << name;
    }
    EXPECT_EQ(gguf->config().tie_word_embeddings, tied);
    EXPECT_EQ(gguf->config().attention_bias, hf->config().attention_bias);
    EXPECT_EQ(gguf->config().qk_norm, hf->config().qk_norm);
    EXPECT_EQ(gguf->config().head_dim, hf->config().head_dim);
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, GgufArchitectureTest,
                         testing::Values("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM",
                                         "Qwen3ForCausalLM"));

TEST_F(GgufCheckpointTest, SplitFilesAreOneCheckpoint) {
  const auto hf_folder = write_tiny_checkpoint(folder_ / "hf");
  const std::vector<GgufTensorSpec> tensors = tiny_gguf_tensors(hf_folder);
  GgufBuilder first = tiny_gguf_metadata(hf_folder), second;
  first.add("split.count", uint32_t{2});
  second.add("split.count", uint32_t{2});
  for (size_t i = 0; i < tensors.size(); ++i) (i < 5 ? first : second).add_tensor(tensors[i]);
  const auto path = folder_.write("m-00001-of-00002.gguf", first.build());
  folder_.write("m-00002-of-00002.gguf", second.build());
  const auto hf = open_checkpoint(hf_folder), gguf = open_checkpoint(path);
  EXPECT_EQ(gguf->names(), hf->names());
}

TEST_F(GgufCheckpointTest, MissingTensorIsNamed) {
  const auto hf_folder = write_tiny_checkpoint(folder_ / "hf");
  GgufBuilder builder = tiny_gguf_metadata(hf_folder);
  for (const GgufTensorSpec& tensor : tiny_gguf_tensors(hf_folder)) {
    if (tensor.name != "blk.1.ffn_up.weight") builder.add_tensor(tensor);
  }
  EXPECT_THAT(refusal([&] { open_checkpoint(write(builder)); }),
              AllOf(HasSubstr("x.gguf"), HasSubstr("'model.layers.1.mlp.up_proj.weight' is missing")));
}

TEST_F(GgufCheckpointTest, TensorsThatTheModelDoesNotUseAreRefused) {
  const GgufTensorSpec extra{.name = "blk.0.ffn_gate_inp.weight", .sizes = {1}, .data = std::string(4, '\0')};
  EXPECT_THAT(refusal_with([&](GgufBuilder& builder) { builder.add_tensor(extra); }), HasSubstr("ffn_gate_inp"));
  const GgufTensorSpec bias{.name = "blk.0.attn_q.bias", .sizes = {64}, .data = std::string(256, '\0')};
  EXPECT_THAT(refusal_with([&](GgufBuilder& builder) { builder.add_tensor(bias); }),
              HasSubstr("k_proj.bias' is missing"));
}

TEST_F(GgufCheckpointTest, OtherModelsAreRefusedByName) {
  const auto refusal_of = [&](const char* architecture) {
    return refusal([&] { open_checkpoint(write(GgufBuilder().add("general.architecture", architecture))); });
  };
  EXPECT_THAT(refusal_of("gemma2"), HasSubstr("architecture 'gemma2' is not read; known: llama qwen2 qwen3"));
  EXPECT_THAT(refusal_of("llama"), HasSubstr("metadata 'llama.embedding_length' is missing"));
  EXPECT_THAT(refusal_with([](GgufBuilder& builder) { builder.add("llama.expert_count", uint32_t{8}); }),
              HasSubstr("llama.expert_count"));
  EXPECT_THAT(refusal_with([](GgufBuilder& builder) { builder.add("llama.rope.scaling.type", "yarn"); }),
              HasSubstr("'llama.rope.scaling.type' is 'yarn'"));
}

TEST_F(GgufCheckpointTest, ImpossibleSizesAreRefusedByTheFilesOwnKey) {
  GgufBuilder builder;
  builder.add("general.architecture", "llama");
  for (const char* key : {"embedding_length", "feed_forward_length", "context_length", "vocab_size"}) {
    builder.add("llama." + std::string(key), uint32_t{64});
  }
  builder.add("llama.attention.head_count", uint32_t{4}).add("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  GgufBuilder no_layers = builder, odd_heads = builder;
  no_layers.add("llama.block_count", uint32_t{0});
  EXPECT_THAT(refusal([&] { open_checkpoint(write(no_layers)); }), HasSubstr("x.gguf: llama.block_count is 0"));
  odd_heads.add("llama.block_count", uint32_t{1}).add("llama.attention.head_count_kv", uint32_t{3});
  EXPECT_THAT(refusal([&] { open_checkpoint(write(odd_heads)); }),
              HasSubstr("llama.attention.head_count = 4 is no multiple of llama.attention.head_count_kv = 3"));
}

// Divisors as llama.cpp's converter computes them (convert_hf_to_gguf.py, LlamaModel.generate_extra_tensors).
GgufTensorSpec rope_freqs(double factor, double low, double high, double original) {
  GgufTensorSpec spec{.name = "rope_freqs.weight", .sizes = {8}};
  for (int j = 0; j < 8; ++j) {
    const double frequency = std::pow(10000.0, -j / 8.0), wavelength = 2 * std::numbers::pi / frequency;
    float divisor = 1;
    if (wavelength > original / low) {
      divisor = static_cast<float>(factor);
    } else if (wavelength >= original / high) {
      const double smooth = (original / wavelength - low) / (high - low);
      divisor = static_cast<float>(1 / ((1 - smooth) / factor + smooth));
    }
    spec.data.append(reinterpret_cast<const char*>(&divisor), sizeof divisor);
  }
  return spec;
}

TEST_F(GgufCheckpointTest, RopeFrequenciesBecomeLlama3Scaling) {
  const auto hf_folder = write_tiny_checkpoint(folder_ / "hf", {.more_config = {{"rope_theta", 10000.0}}});
  GgufBuilder builder = tiny_gguf_metadata(hf_folder);
  for (const GgufTensorSpec& tensor : tiny_gguf_tensors(hf_folder)) builder.add_tensor(tensor);
  builder.add_tensor(rope_freqs(32, 1, 4, 8192));
  const auto checkpoint = open_checkpoint(write(builder));
  const auto& scaling = checkpoint->config().rope_scaling;
  ASSERT_TRUE(scaling.has_value());
  EXPECT_EQ(scaling->factor, 32);
  EXPECT_EQ(scaling->low_freq_factor, 1);
  EXPECT_EQ(scaling->high_freq_factor, 4);
  EXPECT_EQ(scaling->original_max_position_embeddings, 8192);
  EXPECT_FALSE(checkpoint->contains("rope_freqs.weight"));
}

TEST_F(GgufCheckpointTest, OtherRopeFrequenciesAreRefused) {
  GgufTensorSpec other = rope_freqs(32, 1, 4, 8192);
  const float divisor = 5;
  other.data.replace(0, sizeof divisor, reinterpret_cast<const char*>(&divisor), sizeof divisor);
  EXPECT_THAT(refusal_with([&](GgufBuilder& builder) { builder.add_tensor(other); }),
              HasSubstr("'rope_freqs.weight' is not Llama-3 scaling"));
}

}  // namespace
}  // namespace moebench
