#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/text/tokenizer.h"
#include "tests/fixtures/refusal.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/fixtures/tiny_checkpoint.h"

namespace moebench {
namespace {

// The tiny tokenizer: "<s>" is 0, "</s>" is 1, "the" is 259.
class SpecialTokenIdsTest : public testing::Test {
 protected:
  void SetUp() override { folder_.write("tokenizer.json", tiny_tokenizer_json().dump()); }
  std::unique_ptr<Tokenizer> load() const { return Tokenizer::load(folder_.path()); }

  TemporaryFolder folder_;
};

TEST_F(SpecialTokenIdsTest, TokenizerConfigNamesThemByText) {
  folder_.write("tokenizer_config.json", R"({"bos_token": {"content": "</s>"}, "eos_token": "the"})");
  folder_.write("config.json", R"({"bos_token_id": 0, "eos_token_id": 0})");
  EXPECT_EQ(load()->bos_id(), 1);
  EXPECT_EQ(load()->eos_id(), 259);
}

TEST_F(SpecialTokenIdsTest, NullInTokenizerConfigIsNone) {
  folder_.write("tokenizer_config.json", R"({"bos_token": null, "eos_token": "</s>"})");
  folder_.write("config.json", R"({"bos_token_id": 0})");
  EXPECT_EQ(load()->bos_id(), std::nullopt);
  EXPECT_EQ(load()->eos_id(), 1);
}

TEST_F(SpecialTokenIdsTest, ConfigNamesThemByIdTheMainOneFirst) {
  folder_.write("config.json", R"({"bos_token_id": 0, "eos_token_id": [1, 5]})");
  EXPECT_EQ(load()->bos_id(), 0);
  EXPECT_EQ(load()->eos_id(), 1);
  EXPECT_THAT(load()->eos_ids(), testing::ElementsAre(1, 5));
}

TEST_F(SpecialTokenIdsTest, WhatEndsATextIsTheUnionOfBothFiles) {
  folder_.write("config.json", R"({"eos_token_id": [1, 5]})");
  folder_.write("tokenizer_config.json", R"({"eos_token": "the"})");
  EXPECT_EQ(load()->eos_id(), 259);
  EXPECT_THAT(load()->eos_ids(), testing::ElementsAre(259, 1, 5));
  folder_.write("tokenizer_config.json", R"({"eos_token": "</s>"})");
  EXPECT_THAT(load()->eos_ids(), testing::ElementsAre(1, 5)) << "each once";
}

TEST_F(SpecialTokenIdsTest, ATextThatTheVocabularyLacksIsNone) {
  folder_.write("tokenizer_config.json", R"({"bos_token": "<none>"})");
  EXPECT_EQ(load()->bos_id(), std::nullopt);
}

TEST_F(SpecialTokenIdsTest, IdsThatAreNoneAreRefusedByField) {
  for (const char* id : {"262", "-1", "4294967297", "1.5", "\"1\"", "true", "[1, 100000]"}) {
    for (const std::string field : {"bos_token_id", "eos_token_id"}) {
      folder_.write("config.json", "{\"" + field + "\": " + id + "}");
      EXPECT_THAT(refusal([&] { load(); }), testing::HasSubstr("config.json: " + field)) << id;
    }
  }
  folder_.write("config.json", "{}");
  folder_.write("tokenizer_config.json", R"({"eos_token": 1})");
  EXPECT_THAT(refusal([&] { load(); }), testing::HasSubstr("eos_token must be a text"));
}

TEST_F(SpecialTokenIdsTest, NeitherFileIsNone) { EXPECT_EQ(load()->eos_id(), std::nullopt); }

TEST_F(SpecialTokenIdsTest, ADamagedFileIsNamed) {
  folder_.write("tokenizer_config.json", "{");
  try {
    load();
    FAIL() << "accepted";
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("tokenizer_config.json"), std::string::npos);
  }
}

}  // namespace
}  // namespace moebench
