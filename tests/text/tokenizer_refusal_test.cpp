// tokenizer.json files and texts that are broken or hostile: one sentence naming file and field, nothing guessed.
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/text/tokenizer.h"
#include "tests/text/tokenizer_json_builder.h"

namespace moebench {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

std::string refusal_of(std::string_view bytes) {
  const TemporaryFolder folder;
  folder.write("tokenizer.json", bytes);
  try {
    Tokenizer::load(folder.path());
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("tokenizer.json"));
    return error.what();
  }
  return "";
}

json valid() { return byte_level_tokenizer({{"type", "ByteLevel"}, {"add_prefix_space", false}}); }

// The valid file with one part of it replaced.
std::string refusal_with(const json::json_pointer& part, const json& value) {
  json file = valid();
  file[part] = value;
  return refusal_of(file.dump());
}

using Pointer = json::json_pointer;

TEST(TokenizerRefusalTest, FilesThatAreNotWholeJson) {
  const std::string whole = valid().dump();
  ASSERT_EQ(refusal_of(whole), "");
  for (const size_t size : {size_t{1}, whole.size() / 2, whole.size() - 1}) {
    EXPECT_THAT(refusal_of(whole.substr(0, size)), HasSubstr("not JSON"));
  }
  EXPECT_THAT(refusal_of(""), HasSubstr("is empty"));
  EXPECT_THAT(refusal_of("GGUF"), HasSubstr("not JSON"));
  EXPECT_THAT(refusal_of("[]"), HasSubstr("object"));
  EXPECT_THAT(refusal_of("{}"), HasSubstr("model"));
  EXPECT_THAT(refusal_of(R"({"model": {"vocab": {"a": 0, "a": 1}, "merges": []}})"), HasSubstr("\"a\" occurs twice"));
  EXPECT_THROW(Tokenizer::load("/no/such/folder"), std::runtime_error);
}

TEST(TokenizerRefusalTest, WrongTypesAreNamed) {
  EXPECT_THAT(refusal_with(Pointer("/model"), 5), HasSubstr("model: must be an object"));
  EXPECT_THAT(refusal_with(Pointer("/model/vocab"), json::array()), HasSubstr("'vocab'"));
  EXPECT_THAT(refusal_with(Pointer("/model/vocab"), json::object()), HasSubstr("'vocab' is empty"));
  EXPECT_THAT(refusal_with(Pointer("/model/vocab/h"), "0"), HasSubstr("model.vocab 'h': id"));
  EXPECT_THAT(refusal_with(Pointer("/model/vocab/h"), -1), HasSubstr("model.vocab 'h': id"));
  EXPECT_THAT(refusal_with(Pointer("/model/vocab/h"), 4e9), HasSubstr("model.vocab 'h': id"));
  EXPECT_THAT(refusal_with(Pointer("/model/vocab/h"), int64_t{1} << 60), HasSubstr("model.vocab 'h': id"));
  EXPECT_THAT(refusal_with(Pointer("/model/merges"), "a b"), HasSubstr("'merges'"));
  EXPECT_THAT(refusal_with(Pointer("/model/ignore_merges"), "yes"), HasSubstr("'ignore_merges' must be true or false"));
  EXPECT_THAT(refusal_with(Pointer("/model/unk_token"), 0), HasSubstr("'unk_token' must be a string"));
  EXPECT_THAT(refusal_with(Pointer("/added_tokens"), json::object()), HasSubstr("added_tokens"));
  EXPECT_THAT(refusal_with(Pointer("/added_tokens"), {{{"id", 5}}}), HasSubstr("added_tokens[0]: 'content'"));
  EXPECT_THAT(refusal_with(Pointer("/pre_tokenizer"), "ByteLevel"), HasSubstr("pre_tokenizer: must be an object"));
  EXPECT_THAT(refusal_with(Pointer("/post_processor"), {{"type", "TemplateProcessing"}}), HasSubstr("'single'"));
}

TEST(TokenizerRefusalTest, MergesMustNameTokens) {
  EXPECT_THAT(refusal_with(Pointer("/model/merges/3"), {"x", "nowhere"}),
              HasSubstr("model.merges[3]: 'nowhere' is not in the vocabulary"));
  EXPECT_THAT(refusal_with(Pointer("/model/merges/3"), {"x", "y"}), HasSubstr("'xy' is not in the vocabulary"));
  for (const json& malformed : {json("a b c"), json("ab"), json({"a"}), json({"a", 5}), json(7)}) {
    EXPECT_THAT(refusal_with(Pointer("/model/merges/0"), malformed), HasSubstr("model.merges[0]: must be"));
  }
}

TEST(TokenizerRefusalTest, IdsMustNotContradict) {
  EXPECT_THAT(refusal_with(Pointer("/model/vocab/new"), 65), AllOf(HasSubstr("id 65 is both"), HasSubstr("'A'")));
  EXPECT_THAT(refusal_with(Pointer("/added_tokens"), {{{"id", 65}, {"content", "<s>"}}}), HasSubstr("id 65 is both"));
  EXPECT_THAT(refusal_with(Pointer("/added_tokens"), {{{"id", 300}, {"content", "A"}}}),
              HasSubstr("'A' is 300 here but 65 in the vocabulary"));
  EXPECT_THAT(
      refusal_with(Pointer("/added_tokens"), {{{"id", 300}, {"content", "<s>"}}, {{"id", 301}, {"content", "<s>"}}}),
      HasSubstr("'<s>' comes twice"));
  EXPECT_THAT(refusal_with(Pointer("/added_tokens"), {{{"id", 300}, {"content", std::string(2000, 'x')}}}),
              HasSubstr("2000 bytes"));
  EXPECT_THAT(refusal_with(Pointer("/model/unk_token"), "<unk>"), HasSubstr("'<unk>' is not in the vocabulary"));
}

TEST(TokenizerRefusalTest, UnsupportedPartsAreNamed) {
  EXPECT_THAT(refusal_with(Pointer("/model/type"), "Unigram"), HasSubstr("\"Unigram\" is not supported"));
  EXPECT_THAT(refusal_with(Pointer("/model/dropout"), 0.1), HasSubstr("dropout"));
  EXPECT_THAT(refusal_with(Pointer("/model/end_of_word_suffix"), "</w>"), HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(refusal_with(Pointer("/normalizer"), {{"type", "Lowercase"}}), HasSubstr("normalizer: type 'Lowercase'"));
  EXPECT_THAT(refusal_with(Pointer("/pre_tokenizer"), {{"type", "Punctuation"}}),
              HasSubstr("pre_tokenizer: type 'Punctuation'"));
  EXPECT_THAT(refusal_with(Pointer("/decoder"), {{"type", "WordPiece"}}), HasSubstr("decoder: type 'WordPiece'"));
  EXPECT_THAT(refusal_with(Pointer("/post_processor"), {{"type", "BertProcessing"}}),
              HasSubstr("post_processor: type 'BertProcessing'"));
  json split = split_by("x");
  split["pretokenizers"][0]["behavior"] = "Sideways";
  EXPECT_THAT(refusal_with(Pointer("/pre_tokenizer"), split), HasSubstr("behavior 'Sideways'"));
  EXPECT_THAT(refusal_with(Pointer("/pre_tokenizer"), split_by("(")), HasSubstr("pattern '('"));
  EXPECT_THAT(refusal_with(Pointer("/pre_tokenizer"), split_by("\\w+")), HasSubstr("'\\w' at byte 0"));
}

TEST(TokenizerRefusalTest, TextThatIsNotUtf8IsNamedByItsOffset) {
  const auto tokenizer = load_tokenizer_json(valid());
  for (const auto& [text, offset] : std::vector<std::pair<std::string, int>>{{"abc\xFF", 3},
                                                                             {"\xC0\x80", 0},
                                                                             {"é\xED\xA0\x80", 2},
                                                                             {"\xF4\x90\x80\x80", 0},
                                                                             {"0123456789\xE2\x82", 10}}) {
    try {
      tokenizer->encode(text);
      ADD_FAILURE() << offset;
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), HasSubstr("not UTF-8 at byte " + std::to_string(offset)));
    }
  }
}

TEST(TokenizerRefusalTest, IdsWithoutATokenDecodeToNothing) {
  const auto tokenizer = load_tokenizer_json(valid());
  EXPECT_EQ(tokenizer->decode(std::vector<int32_t>({-1, 65, 1 << 30, 66})), "AB");
}

}  // namespace
}  // namespace moebench
