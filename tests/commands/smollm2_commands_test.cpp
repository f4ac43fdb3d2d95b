// The program on SmolLM2-135M: scores as lm-evaluation-harness computed them, greedy text as transformers wrote it.
#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fixtures/temporary_folder.h"
#include "tests/model/smollm2.h"
#include "tests/run_program.h"

namespace moebench {
namespace {

class SmolLm2CommandsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (open_smollm2() == nullptr) GTEST_SKIP() << "SmolLM2-135M is missing; run scripts/fetch smollm2-135m";
    if (read_smollm2_golden("smollm2_lm_eval.json").is_null()) GTEST_SKIP() << "golden/smollm2 is missing";
  }

  TemporaryFolder folder_;
};

struct ReferenceRequest {
  std::string text;  // the line for score
  double logprob;
  bool is_greedy;
  int64_t num_tokens;
};

std::vector<ReferenceRequest> reference_requests(const std::string& job) {
  std::vector<ReferenceRequest> requests;
  const nlohmann::json reference = read_smollm2_golden("smollm2_lm_eval.json");
  for (const nlohmann::json& item : reference["jobs"][job]["items"]) {
    for (const nlohmann::json& request : item["requests"]) {
      if (!request.contains("ids")) continue;  // only its hash is stored
      const nlohmann::json& owner = request.contains("context") ? request : item;
      const nlohmann::json line = {{"context", owner["context"]}, {"continuation", request["continuation"]}};
      requests.push_back({line.dump() + "\n", request["ll"], request["greedy"] == 1, request["n_continuation"]});
    }
  }
  return requests;
}

TEST_F(SmolLm2CommandsTest, ScoresEqualLmEvaluationHarness) {
  std::string input;
  std::vector<ReferenceRequest> references;
  for (const char* job : {"copa_0", "piqa_0", "winogrande_0", "lambada_openai_0"}) {
    for (ReferenceRequest& request : reference_requests(job)) {
      input += request.text;
      references.push_back(std::move(request));
    }
  }
  ASSERT_GE(references.size(), 20u);
  const ProgramResult result = run_program(folder_.path(), {"score", "--model", "smollm2-135m"}, input);
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  std::istringstream lines(result.output);
  for (const ReferenceRequest& reference : references) {
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    const nlohmann::json answer = nlohmann::json::parse(line);
    EXPECT_EQ(answer["num_tokens"], reference.num_tokens) << reference.text;
    EXPECT_EQ(answer["is_greedy"], reference.is_greedy) << reference.text;
    // lm-eval's own log-softmax is fp32 and biased: its README allows 2e-5 a token.
    const double tolerance = 1e-4 + 2e-5 * static_cast<double>(reference.num_tokens);
    EXPECT_NEAR(answer["logprob"].get<double>(), reference.logprob, tolerance) << reference.text;
  }
}

TEST_F(SmolLm2CommandsTest, GreedyTextEqualsTransformers) {
  const nlohmann::json reference = read_smollm2_golden("smollm2_logprobs.json");
  const nlohmann::json& english = reference["items"][0];
  const ProgramResult result = run_program(
      folder_.path(), {"generate", "--model", "smollm2-135m", "--prompt", english["text"], "--max-tokens", "32"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  // The reference goes on behind the end-of-text token.
  const std::string expected = english["greedy32_text"];
  EXPECT_EQ(result.output, expected.substr(0, expected.find("<|im_end|>")) + "\n");
}

TEST_F(SmolLm2CommandsTest, TokenIdsEqualHuggingFace) {
  std::string input, expected;
  const nlohmann::json reference = read_smollm2_golden("smollm2_logprobs.json");
  for (const nlohmann::json& item : reference["items"]) {
    input += item["text"].dump() + "\n";
    expected += item["ids"].dump() + "\n";
  }
  EXPECT_EQ(run_program(folder_.path(), {"tokenize", "--model", "smollm2-135m"}, input).output, expected);
}

// All 62 pages; tests/scoring holds each answer of the first eight to lm-eval's.
TEST_F(SmolLm2CommandsTest, PerplexityOfAllOfWikiTextEqualsLmEvaluationHarness) {
  if (std::getenv("MOEBENCH_WHOLE_TEXTS") == nullptr) GTEST_SKIP() << "minutes; set MOEBENCH_WHOLE_TEXTS to run it";
  const std::filesystem::path data = std::filesystem::path(MOEBENCH_SHARED_DIR) / "data/ppl";
  if (!std::filesystem::exists(data / "wikitext2/wiki.test.raw")) GTEST_SKIP() << data << " has no WikiText-2";
  const ProgramResult result = run_program(folder_.path(), {"eval", "--model", "smollm2-135m", "--tasks", "wikitext",
                                                            "--max-length", "2048", "--data", data, "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const nlohmann::json results = nlohmann::json::parse(result.output)["lm_eval"]["results"]["wikitext"];
  EXPECT_NEAR(results["word_perplexity,none"].get<double>(), 33.97255, 1e-4 * 33.97255);
  EXPECT_NEAR(results["byte_perplexity,none"].get<double>(), 1.933431, 1e-4 * 1.933431);
  EXPECT_NEAR(results["bits_per_byte,none"].get<double>(), 0.951163, 1e-4 * 0.951163);
}

}  // namespace
}  // namespace moebench
