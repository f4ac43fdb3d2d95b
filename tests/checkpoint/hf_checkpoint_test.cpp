// Hugging Face directories: one file or shards, and what is wrong with them.
#include <fstream>

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "harness/checkpoint/checkpoint.h"
#include "harness/checkpoint/safetensors.h"
#include "tests/fixtures/refusal.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/fixtures/tiny_checkpoint.h"

namespace moebench {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class HfCheckpointTest : public testing::Test {
 protected:
  void SetUp() override { write_tiny_checkpoint(model_); }

  std::map<std::string, at::Tensor> tensors() const {
    std::map<std::string, at::Tensor> tensors;
    const SafetensorsFile file(model_ / "model.safetensors");
    for (const std::string& name : file.names()) tensors[name] = file.view(name).clone();
    return tensors;
  }

  void replace(const std::map<std::string, at::Tensor>& tensors) const {
    write_safetensors(model_ / "model.safetensors", tensors, {});
  }

  void change_config(const json& change) const {
    json config = json::parse(read_file(model_ / "config.json"));
    config.update(change);
    std::ofstream(model_ / "config.json") << config;
  }

  // Moves the weights into two shards and returns the index, which is not written yet.
  json shard() const {
    std::map<std::string, at::Tensor> parts[2];
    json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", json::object()}};
    for (const auto& [name, tensor] : tensors()) {
      const size_t part = parts[0].size() > parts[1].size() ? 1 : 0;
      parts[part][name] = tensor;
      index["weight_map"][name] = part == 0 ? kFirst : kSecond;
    }
    write_safetensors(model_ / kFirst, parts[0], {});
    write_safetensors(model_ / kSecond, parts[1], {});
    std::filesystem::remove(model_ / "model.safetensors");
    return index;
  }

  void write_index(const json& index) const { std::ofstream(model_ / "model.safetensors.index.json") << index; }

  std::string refusal_of_model() const {
    return refusal([&] { open_checkpoint(model_); });
  }

  static constexpr const char* kFirst = "model-00001-of-00002.safetensors";
  static constexpr const char* kSecond = "model-00002-of-00002.safetensors";
  TemporaryFolder folder_;
  std::filesystem::path model_ = folder_ / "model";
};

TEST_F(HfCheckpointTest, LoadsInTheTypeAskedForWithMemoryOfItsOwn) {
  const std::string name = "model.layers.0.mlp.up_proj.weight";
  const at::Tensor stored = tensors().at(name);
  at::Tensor loaded;
  {
    const auto checkpoint = open_checkpoint(model_);
    loaded = checkpoint->load(name, at::kFloat);
    EXPECT_TRUE(at::equal(checkpoint->load(name, at::kBFloat16), stored.to(at::kBFloat16)));
  }
  EXPECT_TRUE(at::equal(loaded, stored));
  loaded.zero_();  // would fail on the mapping
}

TEST_F(HfCheckpointTest, NarrowWeightsAreWidenedExactly) {
  for (const at::ScalarType dtype : {at::kHalf, at::kBFloat16}) {
    write_tiny_checkpoint(model_, {.dtype = dtype});
    const auto checkpoint = open_checkpoint(model_);
    for (const auto& [name, tensor] : tensors()) {
      EXPECT_EQ(tensor.scalar_type(), dtype);
      EXPECT_TRUE(at::equal(checkpoint->load(name, at::kFloat), tensor.to(at::kFloat))) << name;
    }
  }
}

TEST_F(HfCheckpointTest, ShardsAreOneCheckpoint) {
  const auto before = tensors();
  write_index(shard());
  const auto checkpoint = open_checkpoint(model_);
  EXPECT_EQ(checkpoint->names().size(), before.size());
  for (const auto& [name, tensor] : before) EXPECT_TRUE(at::equal(checkpoint->load(name, at::kFloat), tensor)) << name;
}

TEST_F(HfCheckpointTest, IndexMustFitItsShards) {
  const json index = shard();
  const std::string name = index.at("weight_map").begin().key();
  const auto refusal_with = [&](const json& shard_name) {
    json changed = index;
    changed["weight_map"][name] = shard_name;
    write_index(changed);
    return refusal_of_model();
  };
  EXPECT_THAT(refusal_with("model-00003.safetensors"),
              AllOf(HasSubstr("index.json"), HasSubstr("'model-00003.safetensors' is missing")));
  for (const char* path : {"../x.safetensors", "/etc/x.safetensors", "a/b.safetensors", "config.json", ""}) {
    EXPECT_THAT(refusal_with(path), AllOf(HasSubstr(name), HasSubstr("not the name of a .safetensors file"))) << path;
  }
  EXPECT_THAT(refusal_with(7), HasSubstr("not the name of a .safetensors file"));
  EXPECT_THAT(refusal_with(kSecond), AllOf(HasSubstr(name), HasSubstr("is not in shard")));
  json incomplete = index;
  incomplete["weight_map"].erase(name);
  write_index(incomplete);
  EXPECT_THAT(refusal_of_model(), AllOf(HasSubstr(name), HasSubstr("is not listed")));
  write_index(json::object());
  EXPECT_THAT(refusal_of_model(), HasSubstr("weight_map is missing"));
}

TEST_F(HfCheckpointTest, FirstTensorThatIsMissingOrMisshapenIsNamed) {
  auto changed = tensors();
  changed.erase("model.layers.1.self_attn.o_proj.weight");
  replace(changed);
  EXPECT_THAT(refusal_of_model(), HasSubstr("'model.layers.1.self_attn.o_proj.weight' is missing"));
  changed["model.layers.1.self_attn.o_proj.weight"] = at::zeros({64, 63});
  replace(changed);
  EXPECT_THAT(refusal_of_model(), HasSubstr("has shape [64, 63] but the config implies [64, 64]"));
}

TEST_F(HfCheckpointTest, TensorsOfAnotherModelAreRefused) {
  auto changed = tensors();
  changed["model.layers.0.self_attn.o_proj.bias"] = at::zeros({64});
  replace(changed);
  EXPECT_THAT(refusal_of_model(), HasSubstr("'model.layers.0.self_attn.o_proj.bias' is no part of"));
  write_tiny_checkpoint(model_);
  change_config({{"num_hidden_layers", 1}});
  EXPECT_THAT(refusal_of_model(), HasSubstr("is no part of a LlamaForCausalLM model with 1 layers"));
}

TEST_F(HfCheckpointTest, IntegerWeightsAreRefused) {
  auto changed = tensors();
  changed["model.norm.weight"] = at::ones({64}, at::kInt);
  replace(changed);
  EXPECT_THAT(refusal_of_model(), HasSubstr("tensor 'model.norm.weight' is I32"));
}

TEST_F(HfCheckpointTest, StoredRopeFrequenciesAreIgnored) {
  auto changed = tensors();
  changed["model.layers.0.self_attn.rotary_emb.inv_freq"] = at::zeros({8});
  replace(changed);
  EXPECT_FALSE(open_checkpoint(model_)->contains("model.layers.0.self_attn.rotary_emb.inv_freq"));
}

TEST_F(HfCheckpointTest, StoredHeadIsTiedOnlyIfItEqualsTheEmbedding) {
  auto changed = tensors();
  changed["lm_head.weight"] = changed.at("model.embed_tokens.weight").clone();
  replace(changed);
  EXPECT_TRUE(open_checkpoint(model_)->config().tie_word_embeddings);
  EXPECT_FALSE(open_checkpoint(model_)->contains("lm_head.weight"));
  changed["lm_head.weight"][0][0] += 1;
  replace(changed);
  EXPECT_FALSE(open_checkpoint(model_)->config().tie_word_embeddings);
  EXPECT_TRUE(open_checkpoint(model_)->contains("lm_head.weight"));
}

TEST_F(HfCheckpointTest, FoldersThatAreNoCheckpointSayWhatIsMissing) {
  EXPECT_THAT(refusal([&] { open_checkpoint(folder_ / "absent"); }), HasSubstr("is no checkpoint"));
  EXPECT_THAT(refusal([&] { open_checkpoint(folder_.path()); }), HasSubstr("is no checkpoint"));
  std::filesystem::remove(model_ / "model.safetensors");
  EXPECT_THAT(refusal_of_model(), HasSubstr("neither model.safetensors nor model.safetensors.index.json"));
  std::ofstream(model_ / "pytorch_model.bin") << "x";
  EXPECT_THAT(refusal_of_model(), HasSubstr("pytorch_model.bin"));
}

TEST_F(HfCheckpointTest, ContentHashIsTheWeightsAndWhatIsComputedWithThem) {
  const std::string before = open_checkpoint(model_)->content_hash();
  EXPECT_EQ(before.size(), 64u);
  EXPECT_EQ(open_checkpoint(write_tiny_checkpoint(folder_ / "copy"))->content_hash(), before);
  write_index(shard());
  EXPECT_EQ(open_checkpoint(model_)->content_hash(), before);

  EXPECT_NE(open_checkpoint(write_tiny_checkpoint(folder_ / "seed", {.seed = 2}))->content_hash(), before);
  change_config({{"rope_theta", 20000.0}});
  EXPECT_NE(open_checkpoint(model_)->content_hash(), before);
}

}  // namespace
}  // namespace moebench
