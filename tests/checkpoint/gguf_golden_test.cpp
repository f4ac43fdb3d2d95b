// Against golden/smollm2: gguf-py's dequantisation of every tensor, bit for bit.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "harness/checkpoint/checkpoint.h"
#include "harness/checkpoint/gguf.h"
#include "harness/content_hash.h"

namespace moebench {
namespace {

class SmolLm2Test : public testing::Test {
 protected:
  void SetUp() override {
    const std::filesystem::path golden =
        std::filesystem::path(MOEBENCH_SHARED_DIR) / "golden/smollm2/smollm2_header.json";
    if (!std::filesystem::exists(golden)) GTEST_SKIP() << golden << " is missing";
    try {
      model_ = resolve_model_path("smollm2-135m");
    } catch (const std::invalid_argument& error) {
      GTEST_SKIP() << error.what();
    }
    golden_ = nlohmann::json::parse(std::ifstream(golden));
  }

  std::filesystem::path model_;
  nlohmann::json golden_;
};

std::string_view bytes_of(const at::Tensor& tensor) {
  return {static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes()};
}

TEST_F(SmolLm2Test, EveryTensorDequantisesToTheGoldenBits) {
  const GgufFile file(model_);
  ASSERT_EQ(file.tensors().size(), golden_.at("tensors").size());
  for (const auto& golden : golden_.at("tensors")) {
    const GgufTensor* tensor = file.find_tensor(golden.at("name").get<std::string>());
    ASSERT_NE(tensor, nullptr) << golden.at("name");
    EXPECT_EQ(tensor->shape, golden.at("f32_shape").get<std::vector<int64_t>>()) << golden.at("name");
    EXPECT_EQ(content_hash(tensor->bytes), golden.at("raw_sha256")) << golden.at("name");
    EXPECT_EQ(content_hash(bytes_of(tensor->load(at::kFloat))), golden.at("f32_sha256")) << golden.at("name");
  }
}

TEST_F(SmolLm2Test, MetadataIsReadWithItsTypes) {
  const GgufFile file(model_);
  EXPECT_EQ(file.find_string("tokenizer.ggml.pre"), "smollm");
  EXPECT_EQ(file.find_bool("tokenizer.ggml.add_bos_token"), false);
  EXPECT_EQ(file.find_integer("tokenizer.ggml.eos_token_id"), 2);
  EXPECT_FLOAT_EQ(static_cast<float>(file.find_number("llama.rope.freq_base").value()), 100000.0f);
  const auto& metadata = golden_.at("metadata");
  for (const char* key : {"tokenizer.ggml.tokens", "tokenizer.ggml.merges"}) {
    const nlohmann::json strings = file.find_strings(key).value();
    EXPECT_EQ(content_hash(std::string_view(strings.dump(-1, ' ', true))), metadata.at(key).at("sha256_json")) << key;
  }
  const nlohmann::json types = file.find_integers("tokenizer.ggml.token_type").value();
  EXPECT_EQ(content_hash(std::string_view(types.dump())), metadata.at("tokenizer.ggml.token_type").at("sha256_json"));
}

TEST_F(SmolLm2Test, ConfigSaysWhatTheReadmeSays) {
  const LlamaConfig config = open_checkpoint(model_)->config();
  EXPECT_EQ(config.architecture, "llama");
  EXPECT_EQ(config.num_layers, 30);
  EXPECT_EQ(config.hidden_size, 576);
  EXPECT_EQ(config.intermediate_size, 1536);
  EXPECT_EQ(config.num_attention_heads, 9);
  EXPECT_EQ(config.num_key_value_heads, 3);
  EXPECT_EQ(config.head_dim, 64);
  EXPECT_EQ(config.rope_theta, 100000);
  EXPECT_FLOAT_EQ(static_cast<float>(config.rms_norm_eps), 1e-5f);
  EXPECT_EQ(config.vocab_size, 49152);
  EXPECT_EQ(config.max_position_embeddings, 8192);
  EXPECT_TRUE(config.tie_word_embeddings);
  EXPECT_FALSE(config.attention_bias || config.qk_norm || config.sliding_window || config.rope_scaling);
}

TEST_F(SmolLm2Test, CheckpointHasHuggingFaceNamesAndNoHead) {
  const auto checkpoint = open_checkpoint(model_);
  EXPECT_EQ(checkpoint->names().size(), 272u);
  EXPECT_TRUE(checkpoint->contains("model.layers.29.mlp.down_proj.weight"));
  EXPECT_FALSE(checkpoint->contains("lm_head.weight"));
  const GgufFile file(model_);
  EXPECT_TRUE(at::equal(checkpoint->load("model.layers.3.mlp.up_proj.weight", at::kFloat),
                        file.find_tensor("blk.3.ffn_up.weight")->load(at::kFloat)));
}

}  // namespace
}  // namespace moebench
