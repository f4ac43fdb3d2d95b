// SmolLM2's answers in fp32 against those that lm-evaluation-harness 0.4.13 got from transformers (golden/smollm2):
// request by request, and the numbers made of them.
#include <cmath>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "harness/lm_eval/document_builder.h"
#include "harness/lm_eval/task_library.h"
#include "harness/lm_eval/task_score.h"
#include "harness/scoring/answers.h"
#include "tests/lm_eval/smollm2_job_data.h"
#include "tests/model/smollm2.h"

namespace moebench {
namespace {

using nlohmann::json;

constexpr int64_t kNumPages = 8;  // of wikitext's 62

// By the README of the reference outputs: its log-softmax in fp32 is biased.
double tolerance(const json& request, const char* length) { return 1e-4 + 2e-5 * request.at(length).get<double>(); }

class Smollm2AnswersTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    const std::unique_ptr<Checkpoint> checkpoint = open_smollm2();
    if (!checkpoint) GTEST_SKIP() << "no SmolLM2-135M; scripts/fetch fetches it";
    golden_ = read_smollm2_golden("smollm2_lm_eval.json");
    if (golden_.is_null()) GTEST_SKIP() << "no reference outputs beside the repository (../shared/golden/smollm2)";
    model_.emplace(LlamaModel::load(*checkpoint, {}));
    tokenizer_ = Tokenizer::load(checkpoint->path());
  }

  void expect_same_answers(const std::string& name) {
    const JobData data(name);
    const json& job = golden_.at("jobs").at(name);
    const TaskDefinition definition = TaskLibrary().select({job.at("task").get<std::string>()}).tasks.at(0);
    const bool is_rolling = definition.output_type == OutputType::kLoglikelihoodRolling;
    const int64_t max_length = is_rolling ? 2048 : 8192;
    const int64_t num_documents = is_rolling ? kNumPages : job.at("n_docs").get<int64_t>();
    const TaskDocuments built = build_documents(definition, job.at("num_fewshot").get<int64_t>(), num_documents);
    const Answers answers = answer(*model_, *tokenizer_, definition.output_type, built.documents,
                                   {.max_length = max_length, .generation_kwargs = definition.generation_kwargs});
    for (const json& item : job.at("items")) {
      const auto place = item.at("doc").get<size_t>();
      if (place >= built.documents.size()) continue;
      SCOPED_TRACE("document " + std::to_string(place));
      for (size_t instance = 0; instance < item.at("requests").size(); ++instance) {
        expect_same_answer(answers.responses[place].at(instance), item["requests"][instance], definition.output_type);
      }
    }
    if (!is_rolling) expect_same_numbers(score_task(definition, built.documents, answers.responses), job.at("results"));
  }

  static void expect_same_answer(const Response& response, const json& request, OutputType type) {
    if (type == OutputType::kGenerateUntil) {
      EXPECT_EQ(response.text, request.at("text").get<std::string>());
      return;
    }
    const bool is_rolling = type == OutputType::kLoglikelihoodRolling;
    EXPECT_NEAR(response.loglikelihood, request.at("ll").get<double>(),
                tolerance(request, is_rolling ? "n_tokens" : "n_continuation"));
    if (!is_rolling) {
      EXPECT_EQ(response.is_greedy, request.at("greedy").get<int>() == 1);
    }
  }

  static void expect_same_numbers(const TaskScore& task, const json& results) {
    for (const MetricScore& score : task.scores) {
      const std::string key = score.metric.name + "," + score.filter;
      const bool is_smooth = score.metric.name == "perplexity";
      const double expected = results.at(key).get<double>();
      EXPECT_NEAR(score.value, expected, is_smooth ? 1e-4 * expected : 1e-12) << key;
      const json& error = results.at(score.metric.name + "_stderr," + score.filter);
      ASSERT_TRUE(score.standard_error.has_value());
      EXPECT_NEAR(*score.standard_error, error.get<double>(), is_smooth ? 1e-4 * expected : 1e-12) << key;
    }
  }

  json golden_;
  std::optional<LlamaModel> model_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_P(Smollm2AnswersTest, AreLmEvals) { expect_same_answers(GetParam()); }

// One test a job, for they take from seconds to minutes.
INSTANTIATE_TEST_SUITE_P(Jobs, Smollm2AnswersTest,
                         testing::Values("copa_0", "piqa_0", "winogrande_0", "arc_easy_0", "arc_challenge_0",
                                         "openbookqa_0", "boolq_0", "hellaswag_0", "rte_0", "sciq_0",
                                         "lambada_openai_0", "mmlu_abstract_algebra_0", "mmlu_high_school_geography_0",
                                         "mmlu_marketing_0", "mmlu_abstract_algebra_5", "mmlu_high_school_geography_5",
                                         "arc_easy_5", "winogrande_5", "hellaswag_local_0", "gsm8k_5", "wikitext_2048"),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace moebench
