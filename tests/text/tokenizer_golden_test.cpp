// Against golden/smollm2/smollm2_tokens.json: ids and decoded text of Hugging Face tokenizers.
#include <vector>

#include "harness/text/tokenizer.h"
#include "tests/text/smollm2_fixture.h"

namespace moebench {
namespace {

class TokenizerGoldenTest : public SmolLm2Fixture {
 protected:
  void SetUp() override {
    SmolLm2Fixture::SetUp();
    if (!IsSkipped()) items_ = read_shared_json("golden/smollm2/smollm2_tokens.json").at("items");
  }
  nlohmann::json items_;
};

TEST_F(TokenizerGoldenTest, EveryStringHasTheGoldenIds) {
  ASSERT_EQ(items_.size(), 581u);
  for (const auto& item : items_) {
    const auto text = item.at("text").get<std::string>();
    EXPECT_EQ(tokenizer_->encode(text), item.at("ids").get<std::vector<int32_t>>()) << item.dump();
    EXPECT_EQ(tokenizer_->encode_with_defaults(text), tokenizer_->encode(text));
  }
}

TEST_F(TokenizerGoldenTest, SpecialTokensArePlainTextOnRequest) {
  int compared = 0;
  for (const auto& item : items_) {
    if (!item.contains("ids_split_special")) continue;
    ++compared;
    EXPECT_EQ(tokenizer_->encode(item.at("text").get<std::string>(), SpecialTokens::kPlainText),
              item.at("ids_split_special").get<std::vector<int32_t>>())
        << item.dump();
  }
  EXPECT_EQ(compared, 34);
}

TEST_F(TokenizerGoldenTest, EveryStringDecodesAsTheGoldenSays) {
  for (const auto& item : items_) {
    const auto ids = item.at("ids").get<std::vector<int32_t>>();
    const std::string expected = item.value("decoded", item.at("text").get<std::string>());
    EXPECT_EQ(tokenizer_->decode(ids), expected) << item.dump();
  }
}

TEST_F(TokenizerGoldenTest, VocabularyAndSpecialIdsAreTheModels) {
  EXPECT_EQ(tokenizer_->vocab_size(), 49152);
  EXPECT_EQ(tokenizer_->bos_id(), 1);
  EXPECT_EQ(tokenizer_->eos_id(), 2);
}

}  // namespace
}  // namespace moebench
