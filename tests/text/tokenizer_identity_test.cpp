// What a tokenizer is known by: its content hash, BOS and EOS.
#include <set>

#include <gtest/gtest.h>

#include "harness/text/tokenizer.h"
#include "tests/text/tokenizer_json_builder.h"

namespace moebench {
namespace {

using nlohmann::json;

const json kByteLevel = {{"type", "ByteLevel"}, {"add_prefix_space", false}};

TEST(TokenizerIdentityTest, EverythingThatDecidesIdsIsInTheHash) {
  const json base = byte_level_tokenizer(kByteLevel);
  std::vector<json> variants(8, base);
  variants[1]["pre_tokenizer"]["add_prefix_space"] = true;
  variants[2]["normalizer"] = {{"type", "NFC"}};
  std::swap(variants[3]["model"]["merges"][0], variants[3]["model"]["merges"][1]);
  variants[4]["model"]["ignore_merges"] = true;
  variants[5]["added_tokens"] = {{{"id", 283}, {"content", "<s>"}, {"special", true}}};
  variants[6]["added_tokens"] = {{{"id", 283}, {"content", "<s>"}, {"special", true}, {"lstrip", true}}};
  std::swap(variants[7]["model"]["vocab"]["a"], variants[7]["model"]["vocab"]["b"]);
  std::set<std::string> hashes;
  for (const json& variant : variants) hashes.insert(load_tokenizer_json(variant)->content_hash());
  EXPECT_EQ(hashes.size(), variants.size());
  EXPECT_EQ(hashes.count(load_tokenizer_json(base)->content_hash()), 1u);
}

TEST(TokenizerIdentityTest, WhatDecidesNothingIsNotInTheHash) {
  json other = byte_level_tokenizer(kByteLevel);
  other["version"] = "1.0";
  other["truncation"] = {{"max_length", 512}};
  EXPECT_EQ(load_tokenizer_json(other)->content_hash(),
            load_tokenizer_json(byte_level_tokenizer(kByteLevel))->content_hash());
}

TEST(TokenizerIdentityTest, BosAndEosComeFromTheFilesBesideIt) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", sentencepiece_tokenizer().dump());
  EXPECT_EQ(Tokenizer::load(folder.path())->bos_id(), std::nullopt);
  folder.write("config.json", R"({"bos_token_id": 1, "eos_token_id": [2, 7]})");
  EXPECT_EQ(Tokenizer::load(folder.path())->bos_id(), 1);
  EXPECT_EQ(Tokenizer::load(folder.path())->eos_id(), 2);
  folder.write("tokenizer_config.json", R"({"bos_token": {"content": "</s>"}, "eos_token": "<s>"})");
  EXPECT_EQ(Tokenizer::load(folder.path())->bos_id(), 2);
  EXPECT_EQ(Tokenizer::load(folder.path() / "tokenizer.json")->eos_id(), 1);
  folder.write("tokenizer_config.json", R"({"bos_token": null, "eos_token": "none such"})");
  folder.write("config.json", R"({"bos_token_id": null, "eos_token_id": null})");
  EXPECT_EQ(Tokenizer::load(folder.path())->bos_id(), std::nullopt);
  EXPECT_EQ(Tokenizer::load(folder.path())->eos_id(), std::nullopt);
}

}  // namespace
}  // namespace moebench
