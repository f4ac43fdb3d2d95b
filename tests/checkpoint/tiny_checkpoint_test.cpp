#include "tests/fixtures/tiny_checkpoint.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "harness/checkpoint/checkpoint.h"
#include "tests/fixtures/temporary_folder.h"

namespace moebench {
namespace {

class TinyCheckpointTest : public testing::TestWithParam<const char*> {
 protected:
  TemporaryFolder folder_;
};

TEST_P(TinyCheckpointTest, OpensAsWhatItWasWrittenAs) {
  for (const bool tied : {true, false}) {
    const TinyCheckpointOptions options{
        .architecture = GetParam(), .num_layers = 3, .tie_word_embeddings = tied, .dtype = at::kBFloat16};
    const auto checkpoint = open_checkpoint(write_tiny_checkpoint(folder_ / "model", options));
    EXPECT_EQ(checkpoint->config().num_layers, 3);
    EXPECT_EQ(checkpoint->config().tie_word_embeddings, tied);
    EXPECT_EQ(checkpoint->contains("lm_head.weight"), !tied);
    EXPECT_EQ(checkpoint->load("model.layers.2.mlp.down_proj.weight", at::kFloat).sizes(), at::IntArrayRef({64, 96}));
  }
}

INSTANTIATE_TEST_SUITE_P(Architectures, TinyCheckpointTest,
                         testing::Values("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM",
                                         "Qwen3ForCausalLM"));

TEST_F(TinyCheckpointTest, SameSeedGivesTheSameBytes) {
  write_tiny_checkpoint(folder_ / "a", {.seed = 5});
  write_tiny_checkpoint(folder_ / "b", {.seed = 5});
  write_tiny_checkpoint(folder_ / "c", {.seed = 6});
  EXPECT_EQ(read_file(folder_ / "a/model.safetensors"), read_file(folder_ / "b/model.safetensors"));
  EXPECT_NE(read_file(folder_ / "a/model.safetensors"), read_file(folder_ / "c/model.safetensors"));
}

TEST_F(TinyCheckpointTest, TokenizerHasOneIdForEveryTokenAndMerge) {
  const nlohmann::json model = tiny_tokenizer_json().at("model");
  EXPECT_EQ(model.at("vocab").size(), static_cast<size_t>(kTinyVocabSize));
  EXPECT_EQ(model.at("vocab").at("\u0120"), 2 + ' ');
  EXPECT_EQ(model.at("vocab").at("\u0120the"), 260);
}

}  // namespace
}  // namespace moebench
