// Rules of the metrics on examples small enough to see; whole files against lm-eval's stand in results_file_test.cpp.
#include "harness/lm_eval/metrics.h"

#include <cmath>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/lm_eval/metric_aggregation.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

std::vector<TaskMetric> metrics(const char* metric_list, OutputType output_type) {
  return parse_metrics(ordered_json::parse(metric_list), output_type);
}

double choice_score(const char* metric, const std::vector<std::string>& choices, const std::vector<double>& scores,
                    int64_t gold) {
  EvaluatedDocument document{.choices = choices, .gold = gold};
  std::vector<Response> responses;
  for (const double score : scores) responses.push_back({.loglikelihood = score});
  const std::string list = std::string(R"([{"metric": ")") + metric + R"("}])";
  return document_values(metrics(list.c_str(), OutputType::kMultipleChoice), OutputType::kMultipleChoice, document,
                         responses, "")
      .at(0)
      .value;
}

TEST(MultipleChoiceTest, TheFirstOfEqualsIsChosen) {
  EXPECT_EQ(choice_score("acc", {"a", "b"}, {-1, -1}, 0), 1);
  EXPECT_EQ(choice_score("acc", {"a", "b"}, {-1, -1}, 1), 0);
}

// numpy's argmax: what a broken model answers is chosen, not passed over.
TEST(MultipleChoiceTest, NotANumberIsChosenFirst) {
  const double nan = std::nan("");
  EXPECT_EQ(choice_score("acc", {"a", "b", "c"}, {-1, nan, nan}, 1), 1);
  EXPECT_EQ(choice_score("acc", {"a", "b", "c"}, {nan, -1, -2}, 0), 1);
}

// "éé" is 2 characters of 4 bytes: -3 over 2 loses to -4 over 3, over 4 it wins.
TEST(MultipleChoiceTest, NormsDivideByCharactersOrByBytes) {
  EXPECT_EQ(choice_score("acc", {"éé", "abc"}, {-3, -4}, 0), 1);
  EXPECT_EQ(choice_score("acc_norm", {"éé", "abc"}, {-3, -4}, 0), 0);
  EXPECT_EQ(choice_score("acc_bytes", {"éé", "abc"}, {-3, -4}, 0), 1);
}

TEST(MultipleChoiceTest, AGoldThatIsNoChoiceIsNeverRight) {
  for (const char* metric : {"acc", "acc_norm", "exact_match"}) {
    EXPECT_EQ(choice_score(metric, {"a", "b"}, {-1, -2}, -1), 0) << metric;
  }
}

double words(const std::string& text) {
  const auto parsed = metrics(R"([{"metric": "word_perplexity"}])", OutputType::kLoglikelihoodRolling);
  return document_values(parsed, OutputType::kLoglikelihoodRolling, {}, {Response{}}, text).at(0).second;
}

TEST(RollingTest, WordsAreRunsOfWhiteSpaceAndOne) {
  EXPECT_EQ(words(""), 1);
  EXPECT_EQ(words(" a  b\n"), 4);
  EXPECT_EQ(words("a\u3000b\x1c"
                  "c"),
            3);
}

bool matches(const std::string& prediction, const std::string& target, const char* rules) {
  const auto parsed = metrics(rules, OutputType::kGenerateUntil);
  return document_values(parsed, OutputType::kGenerateUntil, {.target = target}, {Response{.text = prediction}}, "")
             .at(0)
             .value == 1;
}

constexpr const char* kGsm8kRules = R"([{"metric": "exact_match", "aggregation": "mean", "higher_is_better": true,
    "ignore_case": true, "ignore_punctuation": false, "regexes_to_ignore": [",", "\\$", "(?s).*#### ", "\\.$"]}])";

TEST(ExactMatchTest, Gsm8kComparesNumbersWithoutTheirTrimmings) {
  EXPECT_TRUE(matches("$1,200.", "It is\n12 and\n#### 1200", kGsm8kRules));
  EXPECT_FALSE(matches("[invalid]", "#### 1200", kGsm8kRules));
  EXPECT_FALSE(matches("12", "#### 1200", kGsm8kRules));
}

TEST(ExactMatchTest, EachRuleIsOfItsOwn) {
  EXPECT_FALSE(matches("A", "a", R"([{"metric": "exact_match"}])"));
  EXPECT_TRUE(matches("É", "é", R"([{"metric": "exact_match", "ignore_case": true}])"));
  EXPECT_TRUE(matches("a.!", "a", R"([{"metric": "exact_match", "ignore_punctuation": true}])"));
  EXPECT_FALSE(matches("a\u2026", "a", R"([{"metric": "exact_match", "ignore_punctuation": true}])"));
  EXPECT_TRUE(matches("a1", "2a", R"([{"metric": "exact_match", "ignore_numbers": true}])"));
}

void expect_refusal(const char* metric_list, OutputType output_type, const char* words) {
  try {
    metrics(metric_list, output_type);
    ADD_FAILURE() << metric_list << " was accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr(words));
  }
}

TEST(MetricListTest, WhatIsNotSupportedIsRefusedByName) {
  expect_refusal(R"([{"metric": "bleu"}])", OutputType::kGenerateUntil, "'bleu'");
  expect_refusal(R"([{"metric": "acc"}])", OutputType::kGenerateUntil, "known are exact_match");
  expect_refusal(R"([{"metric": "acc", "aggregation": "median"}])", OutputType::kMultipleChoice, "'median'");
  expect_refusal(R"([{"metric": "acc", "ignore_case": true}])", OutputType::kMultipleChoice, "'ignore_case'");
}

TEST(AggregationTest, RatiosOfSumsAreNotMeansOfRatios) {
  const std::vector<DocumentValue> pages = {{-2, 1}, {-2, 3}};
  EXPECT_DOUBLE_EQ(aggregate(Aggregation::kWeightedPerplexity, pages), std::exp(1.0));
  EXPECT_DOUBLE_EQ(aggregate(Aggregation::kBitsPerByte, pages), 1 / std::log(2.0));
}

// 3 hits of 4 golds and 5 chosen: 2 * 3 / 9.
TEST(AggregationTest, F1IsOfTheSecondChoice) {
  const std::vector<DocumentValue> items = {{1, 1}, {1, 1}, {1, 1}, {1, 0}, {0, 1}, {0, 1}, {0, 0}};
  EXPECT_DOUBLE_EQ(aggregate(Aggregation::kF1, items), 6.0 / 9.0);
  EXPECT_EQ(aggregate(Aggregation::kF1, std::vector<DocumentValue>{{0, 0}}), 0);
  EXPECT_THROW(aggregate(Aggregation::kF1, std::vector<DocumentValue>{{2, 0}}), std::invalid_argument);
}

// Of two classes it is Pearson's correlation of the two columns.
TEST(AggregationTest, MatthewsCorrelationOfTwoClassesIsPearsons) {
  const std::vector<DocumentValue> items = {{1, 1}, {1, 1}, {1, 0}, {0, 1}, {0, 0}, {0, 0}, {0, 0}, {1, 1}};
  double gold = 0, chosen = 0, both = 0;
  for (const DocumentValue& item : items) {
    gold += item.value / 8;
    chosen += item.second / 8;
    both += item.value * item.second / 8;
  }
  const double pearson = (both - gold * chosen) / std::sqrt(gold * (1 - gold) * chosen * (1 - chosen));
  EXPECT_DOUBLE_EQ(aggregate(Aggregation::kMatthewsCorrelation, items), pearson);
  EXPECT_EQ(aggregate(Aggregation::kMatthewsCorrelation, std::vector<DocumentValue>{{1, 1}, {1, 1}}), 0);
}

TEST(StandardErrorTest, OfAMeanIsTheSampleDeviationOverTheRoot) {
  const std::vector<DocumentValue> values = {{1}, {0}, {0}, {1}, {1}};
  EXPECT_DOUBLE_EQ(*standard_error(Aggregation::kMean, values), std::sqrt(0.6 * 0.4 * 5 / 4 / 5));
}

TEST(StandardErrorTest, IsUnknownForOneDocumentForRatiosAndWithoutIterations) {
  const std::vector<DocumentValue> two = {{1, 1}, {2, 1}};
  EXPECT_FALSE(standard_error(Aggregation::kMean, std::vector<DocumentValue>{{1}}).has_value());
  EXPECT_FALSE(standard_error(Aggregation::kBitsPerByte, two).has_value());
  EXPECT_FALSE(standard_error(Aggregation::kWeightedPerplexity, two).has_value());
  EXPECT_FALSE(standard_error(Aggregation::kMean, two, 0).has_value());
}

// Tasks of the same mean: the pooled error is that of all their documents at once, but for the degrees of freedom.
TEST(GroupTest, ThePooledErrorIsOfAllDocuments) {
  std::vector<DocumentValue> small(10), large(30), all;
  for (size_t place = 0; place < small.size(); place += 2) small[place].value = 1;
  for (size_t place = 0; place < large.size(); place += 2) large[place].value = 1;
  all = small;
  all.insert(all.end(), large.begin(), large.end());
  const std::vector<GroupMember> members = {{0.5, standard_error(Aggregation::kMean, small), 10},
                                            {0.5, standard_error(Aggregation::kMean, large), 30}};
  const GroupValue group = aggregate_group(members, true);
  EXPECT_DOUBLE_EQ(group.value, 0.5);
  EXPECT_NEAR(*group.standard_error, *standard_error(Aggregation::kMean, all) * std::sqrt(39.0 / 38), 1e-15);
}

TEST(GroupTest, MeansAreWeightedByDocumentsOrPlain) {
  const std::vector<GroupMember> members = {{0.2, 0.3, 10}, {0.6, 0.4, 30}};
  EXPECT_DOUBLE_EQ(aggregate_group(members, true).value, 0.5);
  EXPECT_DOUBLE_EQ(aggregate_group(members, false).value, 0.4);
  EXPECT_DOUBLE_EQ(*aggregate_group(members, false).standard_error, 0.25);
  EXPECT_FALSE(aggregate_group(std::vector<GroupMember>{{0.2, {}, 1}, {0.6, 0.4, 30}}, true).standard_error);
}

}  // namespace
}  // namespace moebench
