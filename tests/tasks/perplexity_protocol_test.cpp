// llama.cpp's and C4's protocol, each against the loops of the code that it is named for.
#include <algorithm>
#include <fstream>

#include <gmock/gmock.h>

#include "tests/tasks/perplexity_fixture.h"

namespace moebench {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class LlamacppTest : public PerplexityFixture {
 protected:
  Measurement measure_llamacpp(int64_t window) {
    return measure("perplexity", options({{"protocol", "llamacpp"}, {"window", window}}));
  }

  // From here on the tokenizer adds <s>, id 0.
  void add_bos() {
    json tokenizer = tiny_tokenizer_json();
    const json text = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
    const json bos = {{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}};
    tokenizer["post_processor"] = {{"type", "TemplateProcessing"},
                                   {"single", {bos, text}},
                                   {"pair", {bos, text, text}},
                                   {"special_tokens", {{"<s>", {{"id", "<s>"}, {"ids", {0}}, {"tokens", {"<s>"}}}}}}};
    std::ofstream(model_path_ / "tokenizer.json") << tokenizer;
    load_model();
  }

  // Function perplexity of tools/perplexity/perplexity.cpp, one prediction at a time.
  double nll_by_the_tool(std::vector<int64_t> tokens, int64_t n_ctx, bool add_bos) const {
    double nll = 0;
    int64_t count = 0;
    const int64_t first = n_ctx / 2;
    for (int64_t start = 0; start + n_ctx <= std::ssize(tokens); start += n_ctx) {
      std::vector<int64_t> chunk(tokens.begin() + start, tokens.begin() + start + n_ctx);
      if (add_bos) chunk[0] = 0;
      for (int64_t row = first; row < n_ctx - 1; ++row) {
        nll += negative_log_likelihood({chunk.begin(), chunk.begin() + row + 1}, chunk[static_cast<size_t>(row + 1)]);
        ++count;
      }
    }
    return nll / static_cast<double>(count);
  }

  // No letters that the tiny tokenizer merges: a token a byte.
  static std::vector<int64_t> ids_of_bytes(const std::string& text) {
    std::vector<int64_t> ids;
    for (const char byte : text) ids.push_back(2 + static_cast<unsigned char>(byte));
    return ids;
  }

  static inline const std::string kText = "Quick brown foxes jump across a lazy dog, and a dog sleeps on.";
};

TEST_F(LlamacppTest, ScoresTheSecondHalfOfEachChunk) {
  write_text(kText);
  for (const int64_t window : {16, 15, 3}) {
    const Measurement measured = measure_llamacpp(window);
    const std::string name = "sample/llamacpp-" + std::to_string(window);
    const double expected = nll_by_the_tool(ids_of_bytes(kText), window, false);
    EXPECT_NEAR(value(measured, name + "/nll"), expected, 1e-5);
    EXPECT_NEAR(value(measured, name + "/ppl"), std::exp(expected), std::exp(expected) * 1e-5);
    EXPECT_EQ(measured.items.size(), kText.size() / static_cast<size_t>(window));
    EXPECT_EQ(measured.items[0].task, name);
    EXPECT_EQ(measured.items[0].tokens, window - window / 2 - 1);
  }
}

TEST_F(LlamacppTest, ChunksBeginWithTheBosThatTheTokenizerAdds) {
  write_text(kText);
  add_bos();
  std::vector<int64_t> tokens = ids_of_bytes(kText);
  tokens.insert(tokens.begin(), 0);
  const Measurement measured = measure_llamacpp(16);
  EXPECT_NEAR(value(measured, "sample/llamacpp-16/nll"), nll_by_the_tool(tokens, 16, true), 1e-5);
  EXPECT_EQ(measured.text_tokens, std::ssize(tokens));
}

TEST_F(LlamacppTest, AFileIsReadAsItIsButForItsLastNewline) {
  const std::string text = " \n = A = \n \n" + kText + "\n\n";
  text_ = folder_.write("wiki.raw", text);
  EXPECT_EQ(measure_llamacpp(16).text_tokens, std::ssize(text) - 1) << "blank rows keep their blanks";
}

TEST_F(LlamacppTest, SpecialTokensInTheTextAreText) {
  write_text(kText + "</s>");
  EXPECT_EQ(measure_llamacpp(16).text_tokens, std::ssize(kText) + 4);
}

TEST_F(LlamacppTest, DocumentsAreJoinedByABlankLine) {
  const json first = {{"text", "Quick brown foxes jump."}}, second = {{"text", "A lazy dog sleeps on."}};
  text_ = folder_.write("two.jsonl", first.dump() + "\n" + second.dump() + "\n");
  const Measurement documents = measure_llamacpp(16);
  write_text("Quick brown foxes jump.\n\nA lazy dog sleeps on.");
  EXPECT_EQ(value(documents, "two/llamacpp-16/nll"), value(measure_llamacpp(16), "sample/llamacpp-16/nll"));
}

TEST_F(LlamacppTest, AsksForTwoWindowsAndForAWindowOfThree) {
  write_text(std::string(31, 'x'));
  EXPECT_THAT(refusal({{"protocol", "llamacpp"}}), HasSubstr("sample.txt: the text has 31 tokens, fewer than the two"));
  EXPECT_THAT(refusal({{"protocol", "llamacpp"}, {"window", 2}}),
              HasSubstr("option 'window' must be at least 3 with llamacpp, not 2"));
}

TEST(PerplexityOptionsTest, AWindowThatIsNotGivenIsTheProtocolsOwn) {
  const auto window = [](const json& options) {
    return TaskRegistry::instance().find("perplexity").resolve(options).at("window").get<int64_t>();
  };
  EXPECT_EQ(window(json::object()), 2048);
  EXPECT_EQ(window({{"protocol", "c4-new"}}), 2048);
  EXPECT_EQ(window({{"protocol", "llamacpp"}}), 512);
  EXPECT_EQ(window({{"protocol", "llamacpp"}, {"window", 2048}}), 2048);
}

class C4NewTest : public PerplexityFixture {
 protected:
  // get_c4_new of GPTQ's datautils.py: ' '.join(valdata[:1100]['text']), tokenised, [:256 * seqlen]. A token a byte.
  void expect_construction(const std::vector<std::string>& documents) {
    std::string lines, expected_text;
    for (size_t document = 0; document < documents.size(); ++document) {
      lines += json{{"text", documents[document]}}.dump() + "\n";
      if (document < 1100) expected_text += (document == 0 ? "" : " ") + documents[document];
    }
    expected_text = expected_text.substr(0, 256 * 16);
    write_text(expected_text);
    const Measurement expected = measure("perplexity", options());
    text_ = folder_.write("c4.jsonl", lines);
    const Measurement measured = measure("perplexity", options({{"protocol", "c4-new"}}));
    EXPECT_EQ(measured.text_tokens, std::ssize(expected_text));
    EXPECT_EQ(measured.items.size(), expected_text.size() / 16);
    EXPECT_EQ(value(measured, "c4/c4-new-16/ppl"), value(expected, "sample/gptq-16/ppl"));
    EXPECT_EQ(measured.items[0].task, "c4/c4-new-16");
  }
};

TEST_F(C4NewTest, ReadsTheFirst1100Documents) {
  std::vector<std::string> documents(1100, "x");
  documents.push_back(std::string(200, 'y'));
  expect_construction(documents);
}

TEST_F(C4NewTest, MeasuresTheFirst256Windows) {
  std::vector<std::string> documents;
  for (int document = 0; document < 1000; ++document) documents.push_back("document " + std::to_string(document));
  expect_construction(documents);
}

TEST_F(C4NewTest, RefusesATextThatIsNotOfDocuments) {
  EXPECT_THAT(refusal({{"protocol", "c4-new"}}), HasSubstr("sample.txt: c4-new joins the documents of a .jsonl"));
}

}  // namespace
}  // namespace moebench
