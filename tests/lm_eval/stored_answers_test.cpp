// lm-eval 0.4.13's numbers for SmolLM2 (golden/smollm2) from the answers stored with them: the same documents, choices
// and arithmetic, without the model.
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "harness/lm_eval/filters.h"
#include "harness/lm_eval/task_library.h"
#include "harness/lm_eval/task_score.h"
#include "tests/lm_eval/smollm2_job_data.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

const fs::path kSmollm2Golden = fs::path(MOEBENCH_SHARED_DIR) / "golden" / "smollm2" / "smollm2_lm_eval.json";

// Log-likelihoods of requests are stored to 9 digits, those of metrics to 12.
std::vector<Response> stored_responses(const ordered_json& item, OutputType type) {
  std::vector<Response> responses;
  for (const ordered_json& request : item.at("requests")) {
    Response response;
    if (type == OutputType::kGenerateUntil) response.text = request.at("text");
    if (type != OutputType::kGenerateUntil) response.loglikelihood = request.at("ll");
    if (type == OutputType::kLoglikelihood) response.loglikelihood = item.at("metrics").at("perplexity");
    response.is_greedy = request.value("greedy", 0) == 1;
    responses.push_back(response);
  }
  return responses;
}

std::string to_15_digits(double value) { return fmt::format("{:.15g}", value); }

// A mean of zeros and ones and its error to the last digit that is stored; what 12 digits went into, to 11.
void expect_equal(double value, const ordered_json& expected, bool of_decisions) {
  if (of_decisions) {
    EXPECT_EQ(to_15_digits(value), to_15_digits(expected.get<double>()));
  } else {
    EXPECT_NEAR(value / expected.get<double>(), 1, 1e-11);
  }
}

class StoredAnswersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!fs::exists(kSmollm2Golden)) GTEST_SKIP() << "needs " << kSmollm2Golden;
    jobs_ = ordered_json::parse(std::ifstream(kSmollm2Golden)).at("jobs");
  }

  TaskScore score(const std::string& name) {
    const JobData data(name);
    const ordered_json& job = jobs_.at(name);
    const TaskDefinition definition = TaskLibrary().select({job.at("task").get<std::string>()}).tasks.at(0);
    const TaskDocuments built =
        build_documents(definition, job.at("num_fewshot").get<int64_t>(), job.at("n_docs").get<int64_t>());
    std::vector<std::vector<Response>> responses(built.documents.size());
    for (const ordered_json& item : job.at("items")) {
      responses.at(item.at("doc").get<size_t>()) = stored_responses(item, definition.output_type);
    }
    return score_task(definition, built.documents, responses);
  }

  void expect_numbers(const std::string& name) {
    SCOPED_TRACE(name);
    const ordered_json& expected = jobs_.at(name).at("results");
    const TaskScore task = score(name);
    EXPECT_EQ(2 * task.scores.size(), expected.size());
    for (const MetricScore& score : task.scores) {
      SCOPED_TRACE(score.metric.name);
      const bool of_decisions = score.metric.aggregation == Aggregation::kMean;
      const ordered_json& error = expected.at(score.metric.name + "_stderr," + score.filter);
      expect_equal(score.value, expected.at(score.metric.name + "," + score.filter), of_decisions);
      EXPECT_EQ(score.standard_error.has_value(), error.is_number());
      if (score.standard_error.has_value()) expect_equal(*score.standard_error, error, of_decisions);
    }
  }

  ordered_json jobs_;
};

TEST_F(StoredAnswersTest, GiveLmEvalsNumbers) {
  for (const auto& [name, job] : jobs_.items()) expect_numbers(name);
  EXPECT_EQ(jobs_.size(), 21u);
}

TEST_F(StoredAnswersTest, AreFilteredAsByLmEval) {
  const ordered_json& job = jobs_.at("gsm8k_5");
  const TaskDefinition definition = TaskLibrary().select({"gsm8k"}).tasks.at(0);
  int compared = 0;
  for (const ResponseFilter& filter : response_filters(definition.filter_list)) {
    for (const ordered_json& item : job.at("items")) {
      if (item.at("filter") != filter.name) continue;
      EXPECT_EQ(filter.apply(item.at("requests").at(0).at("text")), item.at("filtered").at(0).get<std::string>());
      ++compared;
    }
  }
  EXPECT_EQ(compared, 10);
}

}  // namespace
}  // namespace moebench
