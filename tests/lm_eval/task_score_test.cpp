#include "harness/lm_eval/task_score.h"

#include <stdexcept>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/lm_eval/lm_eval_run.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;
using testing::AllOf;
using testing::HasSubstr;

void expect_refusal(const TaskSelection& selection, const char* subject, const char* words) {
  try {
    check_scoring(selection);
    ADD_FAILURE() << words << " was accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(subject), HasSubstr(words)));
  }
}

TEST(CheckScoringTest, AllBuiltInTasksCanBeScored) {
  const TaskLibrary library;
  for (const std::string& name : library.names()) check_scoring(library.select({name}));
}

TEST(CheckScoringTest, MetricsAndFiltersAreRefusedBeforeAnythingRuns) {
  TaskDefinition task = answered_task("mini_sums").definition;
  task.metric_list[0]["metric"] = "bleu";
  expect_refusal({.tasks = {task}}, "'mini_sums'", "'bleu'");
  task = answered_task("mini_sums").definition;
  task.filter_list[0]["filter"][0]["function"] = "map";
  expect_refusal({.tasks = {task}}, "'mini_sums'", "'map'");
}

TEST(CheckScoringTest, AggregatesThatAreNoMeansAreRefused) {
  TaskGroup group{.name = "g"};
  group.aggregate_metric_list = ordered_json::parse(R"([{"metric": "acc", "aggregation": "median"}])");
  expect_refusal({.groups = {group}}, "'g'", "aggregation \"median\"");
  group.aggregate_metric_list = ordered_json::parse(R"({"metric": "acc"})");
  expect_refusal({.groups = {group}}, "'g'", "must be a list");
}

// Of a group: the filters that its tasks have, sorted, or those it names.
TEST(ScoreGroupTest, FiltersAreThoseOfTheTasksOrThoseNamed) {
  const AnsweredTask task = answered_task("mini_sums");
  const std::vector<TaskScore> scores = {score_task(task.definition, task.documents, task.responses)};
  TaskGroup group{.name = "g", .alias = "g", .members = {"mini_sums"}};
  group.aggregate_metric_list = ordered_json::parse(R"([{"metric": "exact_match"}])");
  const GroupScore all = score_group(group, {group}, scores);
  ASSERT_EQ(all.scores.size(), 2u);
  EXPECT_EQ(all.scores[0].filter, "flexible-extract");
  EXPECT_EQ(all.scores[1].filter, "strict-match");
  EXPECT_EQ(all.scores[1].value, scores[0].scores[0].value);
  group.aggregate_metric_list[0]["filter_list"] = "strict-match";
  const GroupScore named = score_group(group, {group}, scores);
  ASSERT_EQ(named.scores.size(), 1u);
  EXPECT_EQ(named.scores[0].filter, "strict-match");
}

// As in lm-eval: the group is of the tasks that have the metric.
TEST(ScoreGroupTest, TasksWithoutTheMetricArePassedOver) {
  std::vector<TaskScore> scores;
  for (const char* name : {"mini_choice", "mini_sums"}) {
    const AnsweredTask task = answered_task(name);
    scores.push_back(score_task(task.definition, task.documents, task.responses));
  }
  TaskGroup group{.name = "g", .alias = "g", .members = {"mini_choice", "mini_sums"}};
  group.aggregate_metric_list = ordered_json::parse(R"([{"metric": "acc"}, {"metric": "mcc"}])");
  const GroupScore score = score_group(group, {group}, scores);
  EXPECT_EQ(score.num_documents, 8);
  ASSERT_EQ(score.scores.size(), 1u);
  EXPECT_EQ(score.scores[0].num_documents, 5);
  EXPECT_EQ(score.scores[0].value, scores[0].scores[0].value);
}

}  // namespace
}  // namespace moebench
