// The families of tokenizer.json, small. Expected ids and decoded texts are Hugging Face tokenizers 0.23.3's for the
// same files (missing fields filled in with their defaults).
#include <gtest/gtest.h>

#include "harness/text/tokenizer.h"
#include "tests/text/tokenizer_json_builder.h"

namespace moebench {
namespace {

struct Case {
  std::string text;
  std::vector<int32_t> ids;
  std::string decoded;  // "": as text
};

void expect_cases(const Tokenizer& tokenizer, const std::vector<Case>& cases) {
  for (const Case& expected : cases) {
    EXPECT_EQ(tokenizer.encode(expected.text), expected.ids) << expected.text;
    EXPECT_EQ(tokenizer.decode(expected.ids), expected.decoded.empty() ? expected.text : expected.decoded);
  }
}

const nlohmann::json kGpt2 = {{"type", "ByteLevel"}, {"add_prefix_space", false}};

TEST(TokenizerFamilyTest, Gpt2) {
  const nlohmann::json json = byte_level_tokenizer(kGpt2);
  expect_cases(
      *load_tokenizer_json(json),
      {
          {"the thing's  1234 words\n\n\tin",
           {116, 257, 256, 104, 260, 265, 32, 32, 262, 52, 32, 272, 115, 269, 9, 259},
           ""},
          {" hello hello123'S WORDred\u00C9!!!\r\n  ",
           {32, 257, 275, 111, 32, 257, 275, 111, 262, 39, 83, 32, 87, 79, 82, 68, 279, 274, 280, 33, 13, 10, 263},
           ""},
          {"e\u0301\u00E9 9\u00BD\u00B2\u00A0\u180E   x",
           {101, 204, 129, 268, 32, 57, 194, 189, 194, 178, 194, 160, 225, 160, 142, 263, 32, 120},
           ""},
          {"\u65E5\u672C\u8A9E\U0001F600 THEing theING",
           {230, 151, 165, 230, 156, 172, 232, 170, 158, 240, 159, 152, 128, 32, 84, 72, 69, 260, 258, 73, 78, 71},
           ""},
          {"    the", {263, 32, 258}, ""},
      });
}

// A piece that is a token is that token, though no merge makes it: " hello".
TEST(TokenizerFamilyTest, Llama3) {
  nlohmann::json json = byte_level_tokenizer(split_by(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"));
  json["model"]["ignore_merges"] = true;
  expect_cases(*load_tokenizer_json(json),
               {
                   {"the thing's  1234 words\n\n\tin",
                    {116, 257, 256, 104, 260, 265, 32, 32, 262, 52, 32, 272, 115, 269, 9, 259},
                    ""},
                   {" hello hello123'S WORDred\u00C9!!!\r\n  ",
                    {282, 282, 262, 39, 83, 32, 87, 79, 82, 68, 279, 274, 280, 33, 13, 10, 263},
                    ""},
                   {"    the", {263, 32, 258}, ""},
               });
}

// Digits one by one; composed before anything else.
TEST(TokenizerFamilyTest, Qwen2) {
  nlohmann::json json = byte_level_tokenizer(split_by(
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"));
  json["normalizer"] = {{"type", "NFC"}};
  expect_cases(*load_tokenizer_json(json),
               {
                   {"the thing's  1234 words\n\n\tin",
                    {116, 257, 256, 104, 260, 265, 32, 32, 49, 50, 51, 52, 32, 272, 115, 269, 9, 259},
                    ""},
                   {" hello hello123'S WORDred\u00C9!!!\r\n  ",
                    {32, 257, 275, 111, 32, 257, 275, 111, 49, 50, 51, 39, 83,
                     32, 87,  79,  82,  68, 279, 274, 280, 33, 13, 10, 263},
                    ""},
                   {"e\u0301\u00E9 9\u00BD\u00B2\u00A0\u180E   x",
                    {268, 268, 32, 57, 194, 189, 194, 178, 194, 160, 225, 160, 142, 263, 32, 120},
                    "\u00E9\u00E9 9\u00BD\u00B2\u00A0\u180E   x"},
               });
}

// The two spaces before a digit are a piece of their own.
TEST(TokenizerFamilyTest, SmolLm2) {
  const nlohmann::json json = byte_level_tokenizer(
      {{"type", "Sequence"}, {"pretokenizers", {{{"type", "Digits"}, {"individual_digits", true}}, kGpt2}}});
  expect_cases(*load_tokenizer_json(json),
               {
                   {"the thing's  1234 words\n\n\tin",
                    {116, 257, 256, 104, 260, 265, 263, 49, 50, 51, 52, 32, 272, 115, 269, 9, 259},
                    ""},
                   {" hello hello123'S WORDred\u00C9!!!\r\n  ",
                    {32, 257, 275, 111, 32, 257, 275, 111, 49, 50, 51, 39, 83,
                     32, 87,  79,  82,  68, 279, 274, 280, 33, 13, 10, 263},
                    ""},
                   {"e\u0301\u00E9 9\u00BD\u00B2\u00A0\u180E   x",
                    {101, 204, 129, 268, 32, 57, 194, 189, 194, 178, 194, 160, 225, 160, 142, 263, 32, 120},
                    ""},
               });
}

TEST(TokenizerFamilyTest, Tekken) {
  nlohmann::json json =
      byte_level_tokenizer(split_by(R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                                    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
                                    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"));
  json["model"]["ignore_merges"] = true;
  expect_cases(
      *load_tokenizer_json(json),
      {
          {"the thing's  1234 words\n\n\tin",
           {116, 257, 256, 104, 260, 265, 32, 32, 49, 50, 51, 52, 32, 272, 115, 269, 9, 259},
           ""},
          {" hello hello123'S WORDred\u00C9!!!\r\n  ",
           {282, 282, 49, 50, 51, 39, 83, 32, 87, 79, 82, 68, 279, 274, 280, 33, 13, 10, 263},
           ""},
          {"\u65E5\u672C\u8A9E\U0001F600 THEing theING",
           {230, 151, 165, 230, 156, 172, 232, 170, 158, 240, 159, 152, 128, 32, 84, 72, 69, 260, 258, 73, 78, 71},
           ""},
      });
}

TEST(TokenizerFamilyTest, Llama2) {
  const nlohmann::json json = sentencepiece_tokenizer();
  expect_cases(*load_tokenizer_json(json),
               {
                   {"the other  ab", {283, 259, 274, 279, 282, 277, 285, 287}, ""},
                   {" in the\n th\u00E9r ab", {285, 284, 283, 13, 281, 267, 280, 277, 288}, ""},
                   {"\u2581the\u2581ab", {259, 283, 288}, " the ab"},
                   {"\u65E5Z q\u00E9 ZZ", {259, 233, 154, 168, 93, 259, 276, 280, 259, 93, 93}, ""},
                   {"</s>the <s> in", {2, 283, 259, 1, 285, 284}, "</s> the <s>  in"},
               });
}

TEST(TokenizerFamilyTest, MetaspaceFirst) {
  nlohmann::json json = sentencepiece_tokenizer();
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = metaspace("first", false);
  expect_cases(*load_tokenizer_json(json),
               {
                   {"the other  ab", {283, 259, 274, 279, 282, 277, 285, 287}, ""},
                   {" in the\n th\u00E9r ab", {259, 284, 283, 13, 281, 267, 280, 277, 288}, "in the\n th\u00E9r ab"},
                   {"\u2581the\u2581ab", {283, 288}, "the ab"},
                   {"\u65E5Z q\u00E9 ZZ", {259, 233, 154, 168, 93, 259, 276, 280, 259, 93, 93}, ""},
                   {"</s>the <s> in", {2, 279, 282, 259, 1, 259, 284}, ""},
               });
}

TEST(TokenizerFamilyTest, MetaspaceAlwaysSplit) {
  nlohmann::json json = sentencepiece_tokenizer();
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = metaspace("always", true);
  json["decoder"] = metaspace("always", true);
  expect_cases(
      *load_tokenizer_json(json),
      {
          {"the other  ab", {283, 259, 274, 279, 282, 277, 259, 288}, ""},
          {" in the\n th\u00E9r ab", {259, 284, 283, 13, 281, 267, 280, 277, 288}, "in the<0x0A> th\u00E9r ab"},
          {"\u2581the\u2581ab", {283, 288}, "the ab"},
          {"\u65E5Z q\u00E9 ZZ",
           {259, 233, 154, 168, 93, 259, 276, 280, 259, 93, 93},
           "<0xE6><0x97><0xA5><0x5A> q\u00E9 <0x5A><0x5A>"},
          {"</s>the <s> in", {2, 283, 259, 1, 259, 284}, "</s> the <s> in"},
      });
}

TEST(TokenizerFamilyTest, MetaspaceNever) {
  nlohmann::json json = sentencepiece_tokenizer();
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = metaspace("never", false);
  expect_cases(*load_tokenizer_json(json),
               {
                   {"the other  ab", {279, 282, 259, 274, 279, 282, 277, 285, 287}, ""},
                   {" in the\n th\u00E9r ab", {259, 284, 283, 13, 281, 267, 280, 277, 288}, "in the\n th\u00E9r ab"},
                   {"\u2581the\u2581ab", {283, 288}, "the ab"},
                   {"\u65E5Z q\u00E9 ZZ", {233, 154, 168, 93, 259, 276, 280, 259, 93, 93}, ""},
                   {"</s>the <s> in", {2, 279, 282, 259, 1, 259, 284}, ""},
               });
}

TEST(TokenizerFamilyTest, MetaspaceNeverSplit) {
  nlohmann::json json = sentencepiece_tokenizer();
  json["normalizer"] = nullptr;
  json["pre_tokenizer"] = metaspace("never", true);
  json["decoder"] = metaspace("never", true);
  expect_cases(
      *load_tokenizer_json(json),
      {
          {"the other  ab", {279, 282, 259, 274, 279, 282, 277, 259, 288}, ""},
          {" in the\n th\u00E9r ab", {259, 284, 283, 13, 281, 267, 280, 277, 288}, " in the<0x0A> th\u00E9r ab"},
          {"\u2581the\u2581ab", {283, 288}, " the ab"},
          {"\u65E5Z q\u00E9 ZZ",
           {233, 154, 168, 93, 259, 276, 280, 259, 93, 93},
           "<0xE6><0x97><0xA5><0x5A> q\u00E9 <0x5A><0x5A>"},
          {"</s>the <s> in", {2, 279, 282, 259, 1, 259, 284}, ""},
      });
}

TEST(TokenizerFamilyTest, UnknownCharactersFuse) {
  nlohmann::json json = sentencepiece_tokenizer();
  json["model"]["byte_fallback"] = false;
  expect_cases(*load_tokenizer_json(json),
               {
                   {" in the\n th\u00E9r ab", {285, 284, 283, 0, 281, 267, 280, 277, 288}, " in the<unk> th\u00E9r ab"},
                   {"\u65E5Z q\u00E9 ZZ", {259, 0, 259, 276, 280, 259, 0}, "<unk> q\u00E9 <unk>"},
               });
}

TEST(TokenizerFamilyTest, UnknownCharactersStandAlone) {
  nlohmann::json json = sentencepiece_tokenizer();
  json["model"]["byte_fallback"] = false;
  json["model"]["fuse_unk"] = false;
  expect_cases(*load_tokenizer_json(json),
               {
                   {"\u65E5Z q\u00E9 ZZ", {259, 0, 0, 259, 276, 280, 259, 0, 0}, "<unk><unk> q\u00E9 <unk><unk>"},
               });
}

nlohmann::json with_added_tokens() {
  nlohmann::json json = byte_level_tokenizer(kGpt2);
  json["normalizer"] = {{"type", "NFC"}};
  json["added_tokens"] = {{{"id", 283}, {"content", "<sp>"}, {"special", true}},
                          {{"id", 284}, {"content", "<sp>>"}, {"special", true}},
                          {{"id", 285}, {"content", "<l>"}, {"special", true}, {"lstrip", true}},
                          {{"id", 286}, {"content", "<r>"}, {"special", true}, {"rstrip", true}},
                          {{"id", 287}, {"content", "one"}, {"special", false}, {"single_word", true}},
                          {{"id", 288}, {"content", "<n>\u00C9"}, {"special", false}, {"normalized", true}},
                          {{"id", 289}, {"content", "<t>"}, {"special", false}, {"normalized", false}}};
  return json;
}

TEST(TokenizerFamilyTest, AddedTokensAreCutOutByTheirFlags) {
  expect_cases(*load_tokenizer_json(with_added_tokens()),
               {
                   {"a<sp>>b <sp> c", {97, 284, 98, 32, 283, 32, 99}, ""},
                   {"x  <l>  y  <r>  z", {120, 285, 32, 32, 121, 263, 286, 122}, "x<l>  y  <r>z"},
                   {"one, onetwo twoone one_ \u00E9one one",
                    {287, 44, 32,  111, 110, 101, 116, 119, 111, 256, 119, 111, 111, 110,
                     101, 32, 111, 110, 101, 95,  32,  268, 111, 110, 101, 32,  287},
                    ""},
                   {"<n>\u00C9<n>E\u0301<t>", {288, 288, 289}, "<n>\uFFFD<n>\uFFFD<t>"},
                   {"<sp<l><r><l>", {60, 115, 112, 285, 286, 285}, ""},
               });
}

TEST(TokenizerFamilyTest, SpecialTokensAloneArePlainTextOnRequest) {
  const auto tokenizer = load_tokenizer_json(with_added_tokens());
  const auto plain = [&](const char* text) { return tokenizer->encode(text, SpecialTokens::kPlainText); };
  EXPECT_EQ(plain("a<sp>>b <sp> c"),
            std::vector<int32_t>({97, 60, 115, 112, 62, 62, 98, 32, 60, 115, 112, 62, 32, 99}));
  EXPECT_EQ(plain("x  <l>  y  <r>  z"),
            std::vector<int32_t>({120, 32, 32, 60, 108, 62, 32, 32, 121, 32, 32, 60, 114, 62, 32, 32, 122}));
  EXPECT_EQ(plain("<n>\u00C9<n>E\u0301<t>"), std::vector<int32_t>({288, 288, 289}));
}

TEST(TokenizerFamilyTest, TemplateAddsBosByDefault) {
  const auto tokenizer = load_tokenizer_json(sentencepiece_tokenizer());
  EXPECT_EQ(tokenizer->encode_with_defaults("the"), std::vector<int32_t>({1, 283}));
  EXPECT_EQ(tokenizer->encode_with_defaults(""), std::vector<int32_t>({1}));
  EXPECT_EQ(tokenizer->encode(""), std::vector<int32_t>());
}

TEST(TokenizerFamilyTest, MergesMayBeWrittenAsOneString) {
  nlohmann::json json = byte_level_tokenizer(kGpt2);
  for (auto& merge : json["model"]["merges"]) merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  const auto strings = load_tokenizer_json(json), pairs = load_tokenizer_json(byte_level_tokenizer(kGpt2));
  EXPECT_EQ(strings->encode("the thing"), pairs->encode("the thing"));
  EXPECT_EQ(strings->content_hash(), pairs->content_hash());
}

}  // namespace
}  // namespace moebench
