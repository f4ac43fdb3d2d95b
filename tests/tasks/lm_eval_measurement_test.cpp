// From lm-eval's scores to metrics and items, on answers that are made up.
#include "tasks/lm_eval_measurement.h"

#include <cmath>
#include <numeric>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

using testing::ElementsAre;
using Json = nlohmann::ordered_json;

// Documents of two choices whose right one is `gold`, and how likely the two were.
struct Choice {
  int64_t gold;
  double first, second;
  std::string cluster = "";
};

ScoredTask scored(const std::string& name, OutputType output_type, const Json& metrics, TaskDocuments documents,
                  std::vector<std::vector<Response>> responses, const Json& filters = nullptr) {
  TaskDefinition definition{.task = name, .output_type = output_type, .metric_list = metrics, .filter_list = filters};
  ScoredTask task{.output_type = output_type, .documents = std::move(documents), .responses = std::move(responses)};
  task.score = score_task(definition, task.documents.documents, task.responses);
  return task;
}

// The first choice has one character, the second four: acc_norm divides by them.
ScoredTask multiple_choice(const std::string& name, const std::vector<Choice>& choices,
                           const std::vector<std::string>& metrics = {"acc"}) {
  TaskDocuments documents;
  std::vector<std::vector<Response>> responses;
  for (const Choice& choice : choices) {
    documents.documents.push_back({.doc_id = std::ssize(documents.documents),
                                   .choices = {"a", "bbbb"},
                                   .gold = choice.gold,
                                   .cluster = choice.cluster});
    responses.push_back({{.loglikelihood = choice.first}, {.loglikelihood = choice.second}});
  }
  Json list = Json::array();
  for (const std::string& metric : metrics) list.push_back({{"metric", metric}});
  return scored(name, OutputType::kMultipleChoice, list, std::move(documents), std::move(responses));
}

TaskGroup group(const std::string& name, const std::vector<std::string>& members, bool weight_by_size = true) {
  return {.name = name,
          .alias = name,
          .members = members,
          .aggregate_metric_list = Json::array({{{"metric", "acc"}, {"weight_by_size", weight_by_size}}})};
}

std::vector<std::string> names(const Measurement& measurement) {
  std::vector<std::string> names;
  for (const Metric& metric : measurement.metrics) names.push_back(metric.name);
  return names;
}

std::vector<std::string> item_names(const Measurement& measurement) {
  std::vector<std::string> names;
  for (const Item& item : measurement.items) names.push_back(item.task + " " + item.id);
  return names;
}

TEST(LmEvalMeasurementTest, EveryDocumentIsAnItemOfEachMetric) {
  // Likelier by itself is the first choice; by character the second, which is right.
  const Measurement measured =
      lm_eval_measurement({multiple_choice("mine", {{1, -1, -2, "x"}, {0, -1, -9}}, {"acc", "acc_norm"})}, {});
  EXPECT_THAT(names(measured), ElementsAre("mine/acc", "mine/acc_norm"));
  EXPECT_EQ(measured.metrics[0].value, 0.5);
  EXPECT_EQ(measured.metrics[0].direction, Direction::kHigherIsBetter);
  EXPECT_EQ(measured.metrics[0].n, 2);
  EXPECT_DOUBLE_EQ(measured.metrics[0].standard_error.value(), 0.5);  // of 0 and 1: 0.7071 / sqrt(2)
  EXPECT_THAT(item_names(measured), ElementsAre("mine/acc 0", "mine/acc 1", "mine/acc_norm 0", "mine/acc_norm 1"));
  EXPECT_EQ(measured.items[0].correct, false);
  EXPECT_EQ(measured.items[2].correct, true);
  EXPECT_EQ(measured.items[0].nll, 2);
  EXPECT_EQ(measured.items[1].nll, 1);
  EXPECT_EQ(measured.items[0].cluster, "x");
  EXPECT_EQ(measured.items[1].cluster, "");
}

TEST(LmEvalMeasurementTest, ShotsAreNamedWhereTheyAreNotTheTasksOwn) {
  ScoredTask task = multiple_choice("mine", {{0, -1, -2}});
  task.own_fewshot = task.documents.num_fewshot = 5;
  EXPECT_THAT(names(lm_eval_measurement({task}, {})), ElementsAre("mine/acc"));
  task.documents.num_fewshot = 0;
  EXPECT_THAT(names(lm_eval_measurement({task}, {})), ElementsAre("mine/0-shot/acc"));
  EXPECT_EQ(lm_eval_measurement({task}, {}).items.at(0).task, "mine/0-shot/acc");
}

TEST(LmEvalMeasurementTest, FiltersAreNamedButForNone) {
  const Json filters = Json::parse(R"([{"name": "first", "filter": [{"function": "take_first"}]}])");
  TaskDocuments documents{.documents = {{.doc_id = 0, .target = "7"}, {.doc_id = 1, .target = "8"}}};
  const ScoredTask task = scored("sums", OutputType::kGenerateUntil, Json::parse(R"([{"metric": "exact_match"}])"),
                                 documents, {{{.text = "7"}}, {{.text = "9"}}}, filters);
  const Measurement measured = lm_eval_measurement({task}, {});
  EXPECT_THAT(names(measured), ElementsAre("sums/first/exact_match"));
  EXPECT_EQ(measured.items.at(0).correct, true);
  EXPECT_EQ(measured.items.at(1).correct, false);
}

TEST(LmEvalMeasurementTest, ItemsOfAPerplexityMakeIt) {
  TaskDocuments words{.documents = {{.doc_id = 0, .target = "one two three"}, {.doc_id = 1, .target = "four"}}};
  const Json metrics = Json::parse(R"([{"metric": "word_perplexity"}, {"metric": "bits_per_byte"}])");
  const Measurement rolling = lm_eval_measurement({scored("pages", OutputType::kLoglikelihoodRolling, metrics, words,
                                                          {{{.loglikelihood = -10}}, {{.loglikelihood = -2}}})},
                                                  {});
  EXPECT_THAT(names(rolling), ElementsAre("pages/word_perplexity", "pages/bits_per_byte"));
  EXPECT_EQ(rolling.metrics[1].unit, "bit/byte");
  EXPECT_EQ(rolling.metrics[0].direction, Direction::kLowerIsBetter);
  const auto nll_per_token = [&](const std::string& name) {
    double nll = 0, tokens = 0;
    for (const Item& item : rolling.items) {
      if (item.task != name) continue;
      EXPECT_EQ(item.correct, std::nullopt);
      nll += item.nll;
      tokens += static_cast<double>(item.tokens);
    }
    return nll / tokens;
  };
  EXPECT_DOUBLE_EQ(nll_per_token("pages/word_perplexity"), 12.0 / 4);
  EXPECT_DOUBLE_EQ(std::exp(nll_per_token("pages/word_perplexity")), rolling.metrics[0].value);
  EXPECT_DOUBLE_EQ(nll_per_token("pages/bits_per_byte") / std::log(2), rolling.metrics[1].value);

  const Measurement last_words = lm_eval_measurement(
      {scored("lambada", OutputType::kLoglikelihood, Json::parse(R"([{"metric": "perplexity"}, {"metric": "acc"}])"),
              words, {{{.loglikelihood = -3, .is_greedy = true}}, {{.loglikelihood = -5}}})},
      {});
  EXPECT_THAT(names(last_words), ElementsAre("lambada/perplexity", "lambada/acc"));
  EXPECT_DOUBLE_EQ(last_words.metrics[0].value, std::exp(4));
  EXPECT_EQ(last_words.items[0].nll + last_words.items[1].nll, 8);
  EXPECT_EQ(last_words.items[0].tokens + last_words.items[1].tokens, 2);
  EXPECT_EQ(last_words.items[2].correct, true);
  EXPECT_EQ(last_words.items[2].nll, 3);
}

TEST(LmEvalMeasurementTest, FOneHasNoItems) {
  const Measurement measured = lm_eval_measurement({multiple_choice("mine", {{0, -1, -2}, {1, -2, -1}}, {"f1"})}, {});
  EXPECT_THAT(names(measured), ElementsAre("mine/f1"));
  EXPECT_TRUE(measured.items.empty());
}

// Three documents and one: the group's accuracy is that of all four, and they are its items, in the outermost group.
TEST(LmEvalMeasurementTest, AGroupHasTheItemsThatItIsTheMeanOf) {
  const std::vector<ScoredTask> tasks = {
      multiple_choice("long", {{0, -1, -2, "l"}, {0, -1, -2, "l"}, {0, -1, -2, "l"}}, {"acc", "acc_norm"}),
      multiple_choice("short", {{1, -1, -2, "s"}})};
  const Measurement measured = lm_eval_measurement(tasks, {group("all", {"inner"}), group("inner", {"long", "short"})});
  EXPECT_THAT(names(measured), ElementsAre("all/acc", "inner/acc", "long/acc", "long/acc_norm", "short/acc"));
  EXPECT_EQ(measured.metrics[0].value, 0.75);
  EXPECT_EQ(measured.metrics[0].n, 4);
  EXPECT_EQ(measured.metrics[0].direction, Direction::kHigherIsBetter);
  EXPECT_THAT(item_names(measured), ElementsAre("all/acc long/0", "all/acc long/1", "all/acc long/2", "long/acc_norm 0",
                                                "long/acc_norm 1", "long/acc_norm 2", "all/acc short/0"));
  EXPECT_EQ(measured.items.back().cluster, "s");
}

TEST(LmEvalMeasurementTest, AGroupThatWeighsTasksAlikeLeavesThemTheirItems) {
  const std::vector<ScoredTask> tasks = {multiple_choice("long", {{0, -1, -2}, {0, -1, -2}, {0, -1, -2}}),
                                         multiple_choice("short", {{1, -1, -2}})};
  const Measurement measured = lm_eval_measurement(tasks, {group("all", {"long", "short"}, false)});
  EXPECT_EQ(measured.metrics[0].name, "all/acc");
  EXPECT_EQ(measured.metrics[0].value, 0.5);
  EXPECT_THAT(item_names(measured), ElementsAre("long/acc 0", "long/acc 1", "long/acc 2", "short/acc 0"));
}

TEST(LmEvalMeasurementTest, AGroupIsNamedByTheShotsOfItsTasks) {
  std::vector<ScoredTask> tasks = {multiple_choice("one", {{0, -1, -2}}), multiple_choice("two", {{0, -1, -2}})};
  for (ScoredTask& task : tasks) task.documents.num_fewshot = 5;
  const std::vector<TaskGroup> groups = {group("all", {"one", "two"})};
  EXPECT_THAT(names(lm_eval_measurement(tasks, groups)),
              ElementsAre("all/5-shot/acc", "one/5-shot/acc", "two/5-shot/acc"));
  tasks[1].documents.num_fewshot = 0;
  EXPECT_THAT(names(lm_eval_measurement(tasks, groups)),
              ElementsAre("all/mixed-shot/acc", "one/5-shot/acc", "two/acc"));
}

TEST(LmEvalMeasurementTest, PassagesAsClustersAreHashedAndStayApart) {
  const std::string passage(500, 'p');
  const Measurement measured = lm_eval_measurement(
      {multiple_choice("mine", {{0, -1, -2, passage}, {0, -1, -2, passage}, {0, -1, -2, passage + "!"}})}, {});
  EXPECT_LT(measured.items[0].cluster.size(), 40u);
  EXPECT_EQ(measured.items[0].cluster, measured.items[1].cluster);
  EXPECT_NE(measured.items[0].cluster, measured.items[2].cluster);
  EXPECT_NE(measured.items[0].cluster, "");
}

}  // namespace
}  // namespace moebench
