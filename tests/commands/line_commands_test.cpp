// tokenize, score and generate: text in, lines out.
#include "tests/commands/command_fixture.h"

namespace moebench {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

class LineCommandsTest : public CommandFixture {
 protected:
  const std::vector<std::string> tokenize_ = {"tokenize", "--model", "model"};
  const std::vector<std::string> score_ = {"score", "--model", "model"};

  static std::string request(const std::string& context, const std::string& continuation) {
    return nlohmann::json({{"context", context}, {"continuation", continuation}}).dump() + "\n";
  }
};

TEST_F(LineCommandsTest, TokenizeWritesAnArrayForEachString) {
  EXPECT_EQ(output(tokenize_, "\"xhe\"\n\"\"\n\" the\"\n"), "[122,258]\n[]\n[260]\n");
}

TEST_F(LineCommandsTest, TokenizeParsesSpecialTokensUnlessTold) {
  EXPECT_EQ(output(tokenize_, "\"<s>\"\n"), "[0]\n");
  std::vector<std::string> plain = tokenize_;
  plain.push_back("--plain-text");
  EXPECT_EQ(output(plain, "\"<s>\"\n"), "[62,117,64]\n");
}

TEST_F(LineCommandsTest, TokenizeKeepsWhatItDidBeforeABadLine) {
  for (const char* bad : {"{\"a\"", "7", "\"\xFF\"", "", "\"\\ud800\""}) {
    const std::string input = std::string("\"x\"\n") + bad + "\n\"y\"\n";
    EXPECT_THAT(sentence(2, tokenize_, input), HasSubstr("stdin, line 2: not ")) << bad;
    EXPECT_EQ(run(tokenize_, input).output, "[122]\n");
  }
}

TEST_F(LineCommandsTest, ScoreAnswersEachRequest) {
  const auto lines = json_lines(output(score_, request("The quick", " brown") + request("", "fox")));
  ASSERT_THAT(lines, SizeIs(2));
  EXPECT_EQ(lines[0]["num_tokens"], 6);
  EXPECT_LT(lines[0]["logprob"], 0);
  EXPECT_TRUE(lines[0]["is_greedy"].is_boolean());
  EXPECT_EQ(lines[1]["num_tokens"], 3);
}

TEST_F(LineCommandsTest, ScoresOfAContinuationAddUpOverItsTokens) {
  const auto lines = json_lines(output(
      score_, request("quick", "xyz") + request("quick", "x") + request("quickx", "y") + request("quickxy", "z")));
  ASSERT_THAT(lines, SizeIs(4));
  const auto logprob = [&](size_t line) { return lines[line]["logprob"].get<double>(); };
  EXPECT_NEAR(logprob(0), logprob(1) + logprob(2) + logprob(3), 1e-4);
}

TEST_F(LineCommandsTest, ProbabilitiesOfAllNextBytesAddUpToAtMostOne) {
  std::string requests;
  for (char next = '!'; next <= '~'; ++next) requests += request("quick", std::string(1, next));
  double sum = 0;
  for (const nlohmann::json& line : json_lines(output(score_, requests)))
    sum += std::exp(line["logprob"].get<double>());
  EXPECT_GT(sum, 0.01);
  EXPECT_LE(sum, 1);
}

TEST_F(LineCommandsTest, AContextThatDoesNotFitLosesItsBeginning) {
  const std::string longest(511, 'x');
  const auto lines = json_lines(output(score_, request(longest, "yz") + request("ab" + longest, "yz")));
  EXPECT_EQ(lines[0], lines[1]);
}

TEST_F(LineCommandsTest, ASwallowedContinuationIsMarked) {
  const auto lines = json_lines(output(score_, request("xh", "e")));
  EXPECT_EQ(lines[0]["num_tokens"], 1);
  EXPECT_TRUE(lines[0].contains("note"));
}

TEST_F(LineCommandsTest, ScoreRefusesBadRequestsByLine) {
  const std::string good = request("a", "b");
  EXPECT_THAT(sentence(2, score_, good + request("a", "")), HasSubstr("stdin, line 2: the continuation is empty"));
  EXPECT_THAT(sentence(2, score_, good + "[1]\n"), HasSubstr("stdin, line 2: not an object"));
  EXPECT_THAT(sentence(2, score_, good + "{\"context\":\"a\"}\n"), HasSubstr("line 2: the field \"continuation\""));
  EXPECT_THAT(sentence(2, score_, good + "{\"context\":1,\"continuation\":\"b\"}\n"),
              HasSubstr("line 2: the field \"context\" is not a string"));
  EXPECT_THAT(sentence(2, score_, good + request("a", std::string(600, 'x'))),
              HasSubstr("line 2: the continuation has 600 tokens, more than the 512 that are fed"));
}

TEST_F(LineCommandsTest, GenerateIsRepeatableAndBounded) {
  const std::vector<std::string> generate = {"generate", "--model", "model", "--prompt", "The", "--max-tokens", "5"};
  EXPECT_EQ(output(generate), output(generate));
  EXPECT_THAT(sentence(2, {"generate", "--model", "model", "--prompt", "x", "--max-tokens", "0"}),
              HasSubstr("--max-tokens"));
}

TEST_F(LineCommandsTest, GenerateStopsAtAnyIdThatEndsAText) {
  const std::vector<std::string> generate = {"generate", "--model", "model", "--prompt", "The", "--max-tokens", "5"};
  ASSERT_NE(output(generate), "\n");
  nlohmann::json every_token = nlohmann::json::array();
  for (int64_t id = 0; id < kTinyVocabSize; ++id) every_token.push_back(id);
  write_tiny_checkpoint(folder_ / "model",
                        {.vocab_size = kTinyVocabSize, .more_config = {{"eos_token_id", every_token}}});
  EXPECT_EQ(output(generate), "\n");
}

TEST_F(LineCommandsTest, MissingModelIsNamed) {
  for (const char* command : {"tokenize", "score"}) {
    EXPECT_THAT(sentence(2, {command, "--model", "absent"}), HasSubstr("absent")) << command;
  }
}

}  // namespace
}  // namespace moebench
