// scripts/compare_lm_eval on the files of a small run of lm-eval 0.4.13 itself (lm_eval_run.json) and on ours.
#include <sys/wait.h>
#include <chrono>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/lm_eval/python_json.h"
#include "harness/lm_eval/samples_file.h"
#include "tests/fixtures/temporary_folder.h"
#include "tests/lm_eval/lm_eval_run.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;
using testing::HasSubstr;

void write_lm_evals_files(const TemporaryFolder& folder) {
  ordered_json results = lm_eval_run().at("results_file");
  results["configs"] = lm_eval_run().at("tasks");
  folder.write("lm_eval/m/results_2026-01-01T00-00-00.5.json", python_json(results));
  for (const auto& [task, lines] : lm_eval_run().at("samples").items()) {
    std::string text;
    for (const auto& line : lines) text += line.get<std::string>() + "\n";
    folder.write("lm_eval/m/samples_" + task + "_2026-01-01T00-00-00.5.jsonl", text);
  }
}

void write_our_files(const TemporaryFolder& folder) {
  const ResultPaths paths = result_paths(folder / "ours", "m", std::chrono::system_clock::now());
  std::vector<EvaluatedTask> tasks;
  for (const auto& [name, config] : lm_eval_run().at("tasks").items()) {
    const AnsweredTask task = answered_task(name);
    EvaluatedTask evaluated{.definition = task.definition,
                            .num_available = static_cast<int64_t>(task.documents.size()),
                            .score = score_task(task.definition, task.documents, task.responses, 2500)};
    std::string samples;
    evaluated.hash = write_samples(task.definition, task.documents, task.responses, evaluated.score,
                                   [&](std::string_view line) { samples += line; });
    folder.write("ours/m/" + paths.samples(name).filename().string(), samples);
    tasks.push_back(std::move(evaluated));
  }
  write_results(paths.results, results_json(tasks, run_groups(), {}));
}

struct Comparison {
  int exit_code = 0;
  std::string output;
};

Comparison compare(const TemporaryFolder& folder, const std::string& theirs, const std::string& options = "") {
  const std::string command = "python3 " MOEBENCH_COMPARE_LM_EVAL " '" + (folder / theirs).string() + "' '" +
                              (folder / "ours").string() + "' " + options + " > '" + (folder / "output").string() +
                              "' 2>&1";
  const int status = std::system(command.c_str());
  return {WEXITSTATUS(status), read_file(folder / "output")};
}

TEST(CompareLmEvalTest, OurFilesOfTheSameAnswersHaveNoDifference) {
  const TemporaryFolder folder;
  write_lm_evals_files(folder);
  write_our_files(folder);
  const Comparison comparison = compare(folder, "lm_eval");
  EXPECT_EQ(comparison.exit_code, 0) << comparison.output;
  EXPECT_THAT(comparison.output, HasSubstr("0 differences"));
}

TEST(CompareLmEvalTest, EveryDifferenceIsALine) {
  const TemporaryFolder folder;
  write_lm_evals_files(folder);
  write_our_files(folder);
  const auto path = folder / "lm_eval/m/results_2026-01-01T00-00-00.5.json";
  ordered_json results = ordered_json::parse(read_file(path));
  results["results"]["mini_choice"]["acc,none"] = results["results"]["mini_choice"]["acc,none"].get<double>() + 1e-6;
  results["n-shot"]["mini_choice"] = 7;
  folder.write("lm_eval/m/results_2026-01-01T00-00-00.5.json", python_json(results));
  const Comparison exact = compare(folder, "lm_eval"), near = compare(folder, "lm_eval", "--tolerance 1e-5");
  EXPECT_EQ(exact.exit_code, 1);
  EXPECT_THAT(exact.output, HasSubstr("results: mini_choice: acc,none: lm-eval 0.600001, moebench 0.6"));
  EXPECT_THAT(exact.output, HasSubstr("n-shot: mini_choice: lm-eval 7, moebench 0"));
  EXPECT_THAT(exact.output, HasSubstr("\n2 differences"));
  EXPECT_THAT(near.output, HasSubstr("\n1 differences"));
}

TEST(CompareLmEvalTest, AFolderWithoutResultsIsAnError) {
  const TemporaryFolder folder;
  write_our_files(folder);
  const Comparison comparison = compare(folder, "nothing");
  EXPECT_EQ(comparison.exit_code, 2);
  EXPECT_THAT(comparison.output, HasSubstr("has no results_*.json"));
}

}  // namespace
}  // namespace moebench
