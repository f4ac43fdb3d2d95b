// Against the files and tables of a small run of lm-eval 0.4.13 itself: lm_eval_run.json.
#include "harness/lm_eval/results_file.h"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/error.h"
#include "harness/lm_eval/console_table.h"
#include "harness/lm_eval/python_json.h"
#include "harness/lm_eval/samples_file.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/lm_eval/lm_eval_run.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;

EvaluatedTask evaluated(const std::string& name, std::string* samples = nullptr) {
  const AnsweredTask task = answered_task(name);
  EvaluatedTask result{.definition = task.definition, .num_available = static_cast<int64_t>(task.documents.size())};
  result.score = score_task(task.definition, task.documents, task.responses, 2500);
  result.hash =
      write_samples(task.definition, task.documents, task.responses, result.score, [&](std::string_view line) {
        if (samples != nullptr) *samples += line;
      });
  return result;
}

const ordered_json& our_results() {
  static const ordered_json results = [] {
    std::vector<EvaluatedTask> tasks;
    for (const auto& [name, config] : lm_eval_run().at("tasks").items()) tasks.push_back(evaluated(name));
    RunFacts run{.config = {{"model", "hf"}}, .model_name = "org/mini:model"};
    run.moe = {{"activated_parameters", 7}};
    return results_json(tasks, run_groups(), run);
  }();
  return results;
}

TEST(ResultsFileTest, NumbersAndTheirOrderAreLmEvalsToTheLastDigit) {
  for (const auto& [key, value] : lm_eval_run().at("results_file").items()) {
    EXPECT_EQ(python_json(our_results().at(key), {.indent = 1}), python_json(value, {.indent = 1})) << key;
  }
}

// The model of that run has no tokenizer; ours stands behind lm-eval's keys.
TEST(ResultsFileTest, KeysAreLmEvalsInItsOrder) {
  const std::set<std::string> of_a_tokenizer = {"tokenizer_pad_token", "tokenizer_eos_token", "tokenizer_bos_token",
                                                "eot_token_id", "max_length"};
  std::vector<std::string> keys, expected = lm_eval_run().at("keys");
  for (const auto& [key, value] : our_results().items()) {
    if (!of_a_tokenizer.contains(key)) keys.push_back(key);
  }
  expected.push_back("moe");
  EXPECT_EQ(keys, expected);
}

TEST(SamplesFileTest, LinesAreLmEvalsByteForByte) {
  for (const auto& [name, lines] : lm_eval_run().at("samples").items()) {
    std::string expected, written;
    for (const auto& line : lines) expected += line.get<std::string>() + "\n";
    evaluated(name, &written);
    EXPECT_EQ(written, expected) << name;
  }
}

TEST(ConsoleTableTest, TablesAreLmEvals) {
  std::string expected;
  for (const auto& line : lm_eval_run().at("tables")) expected += line.get<std::string>() + "\n";
  EXPECT_EQ(
      console_table(our_results(), TableContent::kTasks) + "\n" + console_table(our_results(), TableContent::kGroups),
      expected);
}

// lm-eval's make_table of the same entries, but for the zeros that its writer drops ("0" for 0.0000).
TEST(ConsoleTableTest, WhatIsMissingLeavesItsColumnText) {
  const ordered_json results = ordered_json::parse(R"({"group_subtasks": {"g": ["b", "a"]},
      "results": {"a": {"alias": "a", "acc,none": 0.5, "acc_stderr,none": 0.0},
                  "b": {"alias": "b", "acc,none": 0.25, "acc_stderr,none": "N/A"},
                  "g": {"alias": "g", "acc,none": 0.375}},
      "versions": {"a": 1.0, "b": 0.5, "g": "N/A"}, "n-shot": {"a": 5},
      "higher_is_better": {"a": {"acc": true}, "b": {"acc": null}}})");
  EXPECT_EQ(console_table(results, TableContent::kTasks),
            "|Tasks|Version|Filter|n-shot|Metric|   |Value |   |Stderr|\n"
            "|-----|-------|------|-----:|------|---|-----:|---|------|\n"
            "|g    |N/A    |none  |      |acc   |   |0.3750|   |      |\n"
            "| - a |      1|none  |     5|acc   |↑  |0.5000|±  |0.0000|\n"
            "| - b |    0.5|none  |      |acc   |   |0.2500|±  |   N/A|\n");
  EXPECT_EQ(console_table(results, TableContent::kGroups), "");
}

TEST(ConsoleTableTest, TheHeaderSpellsWhatIsUnsetAsPythonDoes) {
  EXPECT_EQ(console_header("hf", "pretrained=m", {}, {}, "8"),
            "hf (pretrained=m), gen_kwargs: (None), limit: None, num_fewshot: None, batch_size: 8");
  EXPECT_EQ(console_header("hf", "pretrained=m", 10, 5, "1"),
            "hf (pretrained=m), gen_kwargs: (None), limit: 10.0, num_fewshot: 5, batch_size: 1");
}

std::chrono::system_clock::time_point local_time(int microseconds) {
  std::tm parts{.tm_sec = 9, .tm_min = 10, .tm_hour = 18, .tm_mday = 4, .tm_mon = 2, .tm_year = 126, .tm_isdst = -1};
  return std::chrono::system_clock::from_time_t(std::mktime(&parts)) + std::chrono::microseconds(microseconds);
}

TEST(ResultPathsTest, FoldersAreNamedByTheModelAndFilesByTheLocalTime) {
  const TemporaryFolder folder;
  const ResultPaths paths = result_paths(folder.path() / "out", "org/mini:*model", local_time(95));
  EXPECT_EQ(paths.results, folder.path() / "out/org__mini__model/results_2026-03-04T18-10-09.000095.json");
  EXPECT_EQ(paths.samples("arc_easy"),
            folder.path() / "out/org__mini__model/samples_arc_easy_2026-03-04T18-10-09.000095.jsonl");
  const ResultPaths named = result_paths(folder.path() / "out/run.json", "m", local_time(0));
  EXPECT_EQ(named.results, folder.path() / "out/run_2026-03-04T18-10-09.json");
}

TEST(ResultPathsTest, WhatIsWrittenIsIndentedByTwoAndKeepsItsLetters) {
  const TemporaryFolder folder;
  const ResultPaths paths = result_paths(folder.path(), "m", local_time(0));
  write_results(paths.results, ordered_json{{"é", 1.0}});
  std::stringstream text;
  text << std::ifstream(paths.results).rdbuf();
  EXPECT_EQ(text.str(), "{\n  \"é\": 1.0\n}");
}

TEST(ResultPathsTest, AFolderThatCannotBeMadeIsNamed) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "file") << "x";
  EXPECT_THROW(
      {
        try {
          result_paths(folder.path() / "file", "m", local_time(0));
        } catch (const TryAgainError& error) {
          EXPECT_THAT(error.what(), testing::HasSubstr((folder.path() / "file/m").string()));
          throw;
        }
      },
      TryAgainError);
}

}  // namespace
}  // namespace moebench
