// GGUF vocabularies: against llama.cpp's own vectors, Hugging Face's ids and a reference for stories260K.
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/text/tokenizer.h"
#include "tests/fixtures/gguf_builder.h"
#include "tests/fixtures/refusal.h"
#include "tests/text/tokenizer_json_builder.h"

namespace moebench {
namespace {

using testing::HasSubstr;

struct ScoredToken {
  std::string text;
  float score = 0;
  int32_t type = 1;
};

void add_floats(GgufBuilder& builder, std::string_view key, const std::vector<float>& values) {
  constexpr uint32_t kFloat = 6, kArray = 9;
  const uint64_t size = values.size();
  std::string bytes(reinterpret_cast<const char*>(&kFloat), sizeof kFloat);
  bytes.append(reinterpret_cast<const char*>(&size), sizeof size);
  bytes.append(reinterpret_cast<const char*>(values.data()), size * sizeof(float));
  builder.add_raw(key, kArray, bytes);
}

std::unique_ptr<Tokenizer> load_gguf(const GgufBuilder& builder) {
  const TemporaryFolder folder;
  return Tokenizer::load(folder.write("model.gguf", builder.build()));
}

GgufBuilder sentencepiece_gguf(const std::vector<ScoredToken>& tokens) {
  std::vector<std::string> texts;
  std::vector<float> scores;
  std::vector<int32_t> types;
  for (const ScoredToken& token : tokens) {
    texts.push_back(token.text);
    scores.push_back(token.score);
    types.push_back(token.type);
  }
  GgufBuilder builder;
  builder.add("tokenizer.ggml.model", "llama");
  builder.add("tokenizer.ggml.tokens", texts);
  add_floats(builder, "tokenizer.ggml.scores", scores);
  builder.add("tokenizer.ggml.token_type", types);
  builder.add("tokenizer.ggml.bos_token_id", uint32_t{1});
  builder.add("tokenizer.ggml.eos_token_id", uint32_t{2});
  builder.add("tokenizer.ggml.unknown_token_id", uint32_t{0});
  return builder;
}

std::vector<ScoredToken> special_and_byte_tokens() {
  std::vector<ScoredToken> tokens = {{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}};
  for (int byte = 0; byte < 256; ++byte) tokens.push_back({fmt::format("<0x{:02X}>", byte), 0, 6});
  return tokens;
}

// The vocabulary of sentencepiece_tokenizer(), scored as SentencePiece does: the earlier merge scores higher.
std::vector<ScoredToken> small_vocabulary() {
  std::vector<ScoredToken> tokens = special_and_byte_tokens();
  tokens.push_back({"▁", -1000});
  for (char letter = 'a'; letter <= 't'; ++letter) tokens.push_back({std::string(1, letter), -1000});
  tokens.push_back({"é", -1000});
  float score = 0;
  for (const auto& [left, right] : kSentencePieceMerges) tokens.push_back({left + right, score--});
  return tokens;
}

TEST(GgufTokenizerTest, ScoresGiveTheIdsOfTheMergesInTokenizerJson) {
  const auto gguf = load_gguf(sentencepiece_gguf(small_vocabulary()));
  const auto json = load_tokenizer_json(sentencepiece_tokenizer());
  for (const char* text :
       {"the other  ab", " in the\n th\u00E9r ab", "\u65E5 q Z", "</s>the <s> in", "", "ttthehe    in"}) {
    EXPECT_EQ(gguf->encode(text), json->encode(text)) << text;
    EXPECT_EQ(gguf->encode_with_defaults(text), json->encode_with_defaults(text)) << text;
    EXPECT_EQ(gguf->decode(gguf->encode(text)), json->decode(json->encode(text))) << text;
  }
  EXPECT_EQ(gguf->bos_id(), 1);
  EXPECT_EQ(gguf->eos_id(), 2);
}

TEST(GgufTokenizerTest, TheEndOfATurnEndsATextToo) {
  GgufBuilder builder = sentencepiece_gguf(small_vocabulary());
  EXPECT_THAT(load_gguf(builder)->eos_ids(), testing::ElementsAre(2));
  builder.add("tokenizer.ggml.eot_token_id", uint32_t{7});
  EXPECT_THAT(load_gguf(builder)->eos_ids(), testing::ElementsAre(2, 7));
}

TEST(GgufTokenizerTest, DefaultsAndSpacePrefixAreWhatTheFileSays) {
  GgufBuilder builder = sentencepiece_gguf(small_vocabulary());
  builder.add("tokenizer.ggml.add_bos_token", false);
  builder.add("tokenizer.ggml.add_eos_token", true);
  builder.add("tokenizer.ggml.add_space_prefix", false);
  const auto tokenizer = load_gguf(builder);
  const std::vector<int32_t> ids = tokenizer->encode_with_defaults("he");
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_EQ(tokenizer->decode({ids.data(), 1}), "he");
  EXPECT_EQ(ids[1], 2);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(" he")), " he");
}

// Byte-level: the same vocabulary, and the steps that the name implies, as a tokenizer.json.
TEST(GgufTokenizerTest, PreTokenizerNamesMeanTheStepsOfTokenizerJson) {
  const nlohmann::json gpt2 = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  const nlohmann::json model = byte_level_tokenizer(gpt2)["model"];
  std::vector<std::string> tokens(model["vocab"].size()), merges;
  for (const auto& [token, id] : model["vocab"].items()) tokens[id.get<size_t>()] = token;
  for (const auto& [left, right] : kByteLevelMerges) merges.push_back(left + " " + right);
  const auto encoded = [&](const char* pre, const char* text) {
    GgufBuilder builder;
    builder.add("tokenizer.ggml.model", "gpt2");
    builder.add("tokenizer.ggml.pre", pre);
    builder.add("tokenizer.ggml.tokens", tokens);
    builder.add("tokenizer.ggml.merges", merges);
    builder.add("tokenizer.ggml.token_type", std::vector<int32_t>(tokens.size(), 1));
    builder.add("tokenizer.ggml.bos_token_id", uint32_t{0});
    return load_gguf(builder)->encode(text);
  };
  // The ids of TokenizerFamilyTest, which are Hugging Face's.
  EXPECT_EQ(encoded("gpt-2", "thing's  1234"), std::vector<int32_t>({116, 104, 260, 265, 32, 32, 262, 52}));
  EXPECT_EQ(encoded("smollm", "thing's  1234"), std::vector<int32_t>({116, 104, 260, 265, 263, 49, 50, 51, 52}));
  EXPECT_EQ(encoded("llama-bpe", " hello hello123"), std::vector<int32_t>({282, 282, 262}));
  EXPECT_EQ(encoded("tekken", " hello hello123"), std::vector<int32_t>({282, 282, 49, 50, 51}));
  EXPECT_EQ(encoded("qwen2", "e\u0301\u00E9 9\u00BD"), std::vector<int32_t>({268, 268, 32, 57, 194, 189}));
}

std::string refusal_of(const GgufBuilder& builder) {
  return refusal([&] { load_gguf(builder); });
}

TEST(GgufTokenizerTest, UnsupportedVocabulariesAreRefusedByName) {
  GgufBuilder empty;
  EXPECT_THAT(refusal_of(empty), HasSubstr("tokenizer.ggml.model is missing"));
  empty.add("tokenizer.ggml.model", "t5");
  EXPECT_THAT(refusal_of(empty), HasSubstr("tokenizer.ggml.model 't5' is not supported"));
  GgufBuilder unknown;
  unknown.add("tokenizer.ggml.model", "gpt2");
  EXPECT_THAT(refusal_of(unknown), HasSubstr("tokenizer.ggml.pre (missing) is not supported"));
  unknown.add("tokenizer.ggml.pre", "default");
  EXPECT_THAT(refusal_of(unknown), HasSubstr("tokenizer.ggml.pre 'default' is not supported; known: gpt-2 smollm"));
}

TEST(GgufTokenizerTest, BadVocabulariesAreRefusedByField) {
  auto tokens = small_vocabulary();
  tokens[5].text = "\xFF";
  EXPECT_THAT(refusal_of(sentencepiece_gguf(tokens)), HasSubstr("tokenizer.ggml.tokens[5]: not UTF-8"));
  tokens = small_vocabulary();
  tokens.back().score = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(refusal_of(sentencepiece_gguf(tokens)), HasSubstr("tokenizer.ggml.scores"));
  tokens = small_vocabulary();
  tokens.push_back({"xy", 1});
  EXPECT_THAT(refusal_of(sentencepiece_gguf(tokens)), HasSubstr("'xy' has a character that is no token of its own"));
  EXPECT_THAT(refusal_of(sentencepiece_gguf({{"a"}})), HasSubstr("tokenizer.ggml.bos_token_id: 1 is not one of the 1"));
  GgufBuilder short_types;
  short_types.add("tokenizer.ggml.model", "llama");
  short_types.add("tokenizer.ggml.tokens", std::vector<std::string>{"a", "b"});
  EXPECT_THAT(refusal_of(short_types), HasSubstr("tokenizer.ggml.token_type is missing"));
  short_types.add("tokenizer.ggml.token_type", std::vector<int32_t>{1});
  EXPECT_THAT(refusal_of(short_types), HasSubstr("1 types for 2 tokens"));
}

class SharedVocabularyTest : public testing::Test {
 protected:
  static std::filesystem::path data(const std::string& name) {
    return std::filesystem::path(MOEBENCH_SHARED_DIR) / "data" / name;
  }
  void SetUp() override {
    if (!std::filesystem::exists(data("tokenizers"))) GTEST_SKIP() << data("tokenizers") << " is missing";
  }

  // llama.cpp's test format: texts between marker lines, one line of ids each.
  static void expect_llamacpp_vectors(const Tokenizer& tokenizer, const std::string& name) {
    const std::string marker = "\n__ggml_vocab_test__\n";
    std::string texts = read_file(data("tokenizers/llamacpp_vectors/" + name + ".gguf.inp"));
    std::istringstream lines(read_file(data("tokenizers/llamacpp_vectors/" + name + ".gguf.out")));
    int compared = 0;
    for (size_t end; (end = texts.find(marker)) != std::string::npos; texts.erase(0, end + marker.size())) {
      std::string line;
      ASSERT_TRUE(std::getline(lines, line));
      std::istringstream ids(line);
      EXPECT_EQ(tokenizer.encode(texts.substr(0, end)),
                std::vector<int32_t>(std::istream_iterator<int32_t>(ids), std::istream_iterator<int32_t>()))
          << texts.substr(0, end);
      ++compared;
    }
    EXPECT_GT(compared, 40);
  }
};

TEST_F(SharedVocabularyTest, Gpt2HasTheIdsOfLlamaCpp) {
  const nlohmann::json vocabulary = nlohmann::json::parse(read_file(data("tokenizers/gpt2/vocab.json")));
  std::vector<std::string> tokens(vocabulary.size()), merges;
  for (const auto& [token, id] : vocabulary.items()) tokens[id.get<size_t>()] = token;
  std::ifstream lines(data("tokenizers/gpt2/merges.txt"));
  std::string line;
  while (std::getline(lines, line)) {
    if (!line.empty() && !line.starts_with("#version")) merges.push_back(line);
  }
  GgufBuilder builder;
  builder.add("tokenizer.ggml.model", "gpt2");
  builder.add("tokenizer.ggml.pre", "gpt-2");
  builder.add("tokenizer.ggml.tokens", tokens);
  builder.add("tokenizer.ggml.merges", merges);
  builder.add("tokenizer.ggml.token_type", std::vector<int32_t>(tokens.size(), 1));
  const auto from_gguf = load_gguf(builder);
  expect_llamacpp_vectors(*from_gguf, "ggml-vocab-gpt-2");

  const auto from_json = load_tokenizer_json(
      {{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", merges}}},
       {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}}}});
  expect_llamacpp_vectors(*from_json, "ggml-vocab-gpt-2");
}

// SentencePiece's tokenizer.model: a protobuf whose field 1 is one piece {1: text, 2: score, 3: type}.
std::vector<ScoredToken> read_sentencepiece_model(const std::string& bytes) {
  size_t offset = 0;
  const auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.at(offset++));
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return value;
    }
  };
  std::vector<ScoredToken> tokens;
  while (offset < bytes.size()) {
    const uint64_t tag = varint();
    const uint64_t length = varint();  // every top-level field of the file is length-delimited
    const size_t end = offset + length;
    if (tag >> 3 != 1) {
      offset = end;
      continue;
    }
    ScoredToken token;
    while (offset < end) {
      switch (varint() >> 3) {
        case 1: {
          const size_t size = varint();
          token.text = bytes.substr(offset, size);
          offset += size;
          break;
        }
        case 2:
          std::memcpy(&token.score, bytes.data() + offset, sizeof token.score);
          offset += sizeof token.score;
          break;
        default:
          token.type = static_cast<int32_t>(varint());
      }
    }
    tokens.push_back(token);
  }
  return tokens;
}

TEST_F(SharedVocabularyTest, Llama2HasTheIdsOfLlamaCpp) {
  const auto tokens = read_sentencepiece_model(read_file(data("tokenizers/llama2/tokenizer.model")));
  ASSERT_EQ(tokens.size(), 32000u);
  expect_llamacpp_vectors(*load_gguf(sentencepiece_gguf(tokens)), "ggml-vocab-llama-spm");
}

// llama2.c's tok512.bin: u32 longest token, then float score, u32 length and text of each; spaces instead of "▁".
std::vector<ScoredToken> read_llama2c_vocabulary(const std::string& bytes) {
  std::vector<ScoredToken> tokens;
  for (size_t offset = 4; offset < bytes.size();) {
    ScoredToken token;
    uint32_t length = 0;
    std::memcpy(&token.score, bytes.data() + offset, 4);
    std::memcpy(&length, bytes.data() + offset + 4, 4);
    for (const char byte : bytes.substr(offset + 8, length)) token.text += byte == ' ' ? "▁" : std::string(1, byte);
    offset += 8 + length;
    tokens.push_back(token);
  }
  const auto reserved = special_and_byte_tokens();
  std::copy(reserved.begin(), reserved.end(), tokens.begin());
  return tokens;
}

TEST_F(SharedVocabularyTest, Stories260KHasTheReferenceIds) {
  const auto tokens = read_llama2c_vocabulary(read_file(data("models/stories260K/tok512.bin")));
  ASSERT_EQ(tokens.size(), 512u);
  const auto tokenizer = load_gguf(sentencepiece_gguf(tokens));
  const auto reference = nlohmann::json::parse(read_file(data("models/stories260K/reference.json")));
  for (const auto& example : reference.at("cases")) {
    EXPECT_EQ(tokenizer->encode_with_defaults(example.at("text").get<std::string>()),
              example.at("ids").get<std::vector<int32_t>>())
        << example.at("name");
  }
}

}  // namespace
}  // namespace moebench
