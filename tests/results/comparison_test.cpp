#include <cmath>

#include "tests/results/comparison_fixture.h"

namespace moebench {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(ComparisonTest, NoRunsAreAnEmptyTable) {
  EXPECT_THAT(table().rows, IsEmpty());
  EXPECT_THAT(table().columns, IsEmpty());
}

// 40, 42, 47: mean 43, deviations -3, -1, 4, squares 9 + 1 + 16 = 26, over two: 13.
TEST_F(ComparisonTest, SeedsBecomeMeanAndSampleDeviation) {
  runs_.use("cmoe", "S3A3E8", 0.75);
  for (const auto& [seed, value] : {std::pair(2, 47.0), {0, 40.0}, {1, 42.0}}) runs_.measure_perplexity(seed, value);
  const Table table = this->table();
  ASSERT_THAT(table.rows, SizeIs(1));
  const Cell& cell = this->cell(table, 0, kPerplexity);
  EXPECT_EQ(cell.status, CellStatus::kValue);
  EXPECT_DOUBLE_EQ(cell.value, 43);
  EXPECT_DOUBLE_EQ(cell.standard_deviation.value(), std::sqrt(13.0));
  EXPECT_DOUBLE_EQ(cell.standard_error.value(), 0.5);
  EXPECT_EQ(cell.n, 5);
  EXPECT_THAT(cell.seeds->measured, ElementsAre(0, 1, 2));
}

TEST_F(ComparisonTest, OneSeedHasNoDeviation) {
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure_perplexity(0, 40);
  EXPECT_FALSE(cell(table(), 0, kPerplexity).standard_deviation.has_value());
}

// Errors 0.3 and 0.4 over the same windows: root of (0.09 + 0.16) / 2, not smaller by more seeds.
TEST_F(ComparisonTest, StandardErrorIsThatOfASeed) {
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure_perplexity(0, 40).metrics[0].standard_error = 0.3;
  runs_.measure_perplexity(1, 40).metrics[0].standard_error = 0.4;
  EXPECT_DOUBLE_EQ(cell(table(), 0, kPerplexity).standard_error.value(), std::sqrt(0.125));
}

TEST_F(ComparisonTest, DivergedSeedShowsInTheMean) {
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure_perplexity(0, 40);
  runs_.measure_perplexity(1, std::nan(""));
  EXPECT_TRUE(std::isnan(cell(table(), 0, kPerplexity).value));
  EXPECT_FALSE(cell(table(), 0, kPerplexity).standard_deviation.has_value());
}

TEST_F(ComparisonTest, LaterRunOfASeedCounts) {
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure_perplexity(0, 40);
  runs_.measure_perplexity(0, 44);
  EXPECT_EQ(cell(table(), 0, kPerplexity).value, 44);
}

TEST_F(ComparisonTest, RowsStandInTheOrderThatReadersExpect) {
  runs_.use("cmoe", "S1A3E8", 0.5);
  runs_.measure_perplexity(0, 90);
  runs_.use("static_pruning", "S4A0E8", 0.5);
  runs_.measure_perplexity(0, 80);
  runs_.use("random_split", "S0A6E8", 0.75);
  runs_.measure_perplexity(0, 70);
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure_perplexity(0, 50);
  runs_.use_oracle();
  runs_.measure_perplexity(0, 40);
  runs_.use("static_pruning", "S6A0E8", 0.75);
  runs_.measure_perplexity(0, 45);
  runs_.about = {{"model", "tiny"}, {"method", "dense"}, {"dtype", "float32"}};
  runs_.measure_perplexity(0, 25);
  runs_.about["model"] = "small";
  runs_.measure_perplexity(0, 20);
  const Table table = this->table();
  EXPECT_THAT(labels(table),
              ElementsAre("tiny: dense", "tiny: static_pruning S6A0E8", "tiny: cmoe with oracle router (bound) S3A3E8",
                          "tiny: cmoe S3A3E8", "tiny: random_split S0A6E8", "tiny: static_pruning S4A0E8",
                          "tiny: cmoe S1A3E8", "small: dense"));
  EXPECT_EQ(table.rows[0].kind, RowKind::kDense);
  EXPECT_EQ(table.rows[1].kind, RowKind::kControl);
  EXPECT_EQ(table.rows[2].kind, RowKind::kBound);
  EXPECT_EQ(table.rows[3].kind, RowKind::kMethod);
}

TEST_F(ComparisonTest, RatioIsToTheDenseParentOfTheSameModelAndDtype) {
  runs_.measure_perplexity(0, 25);
  runs_.about["dtype"] = "bfloat16";
  runs_.measure_perplexity(0, 20);
  runs_.about["model"] = "orphan";
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure_perplexity(0, 30);
  runs_.about["model"] = "tiny";
  runs_.measure_perplexity(0, 50);
  runs_.about["dtype"] = "float32";
  runs_.measure_perplexity(0, 50);
  const Table table = this->table();
  ASSERT_THAT(table.rows, SizeIs(5));
  const auto ratio_of = [&](const std::string& model, const std::string& dtype) {
    for (size_t row = 0; row < table.rows.size(); ++row) {
      const RunDescription& about = table.rows[row].about;
      if (!about.is_dense() && about.model == model && about.dtype == dtype) {
        return cell(table, row, kPerplexity).ratio_to_dense;
      }
    }
    return std::optional<double>(-1);
  };
  EXPECT_EQ(ratio_of("tiny", "float32"), 2.0);
  EXPECT_EQ(ratio_of("tiny", "bfloat16"), 2.5);
  EXPECT_EQ(ratio_of("orphan", "bfloat16"), std::nullopt);
}

TEST_F(ComparisonTest, ConversionsGiveTheCostOfEveryRowThatMeasuresThem) {
  runs_.measure_perplexity(0, 25);
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.convert(0, 20);
  runs_.convert(1, 22);
  runs_.measure_perplexity(0, 50);
  runs_.measure_perplexity(1, 50);
  runs_.use_oracle();
  runs_.measure_perplexity(0, 40);
  const Table table = this->table();
  EXPECT_EQ(cell(table, 0, "conversion/seconds").status, CellStatus::kNotApplicable);
  for (const size_t row : {1, 2}) {
    EXPECT_EQ(cell(table, row, "conversion/seconds").value, 21);
    EXPECT_DOUBLE_EQ(cell(table, row, "conversion/seconds").standard_deviation.value(), std::sqrt(2.0));
    EXPECT_EQ(cell(table, row, "conversion/peak_memory").value, 2.5e9);
  }
}

TEST_F(ComparisonTest, ConversionInAnotherDtypeIsAnothersCost) {
  for (const auto& [dtype, seconds] : {std::pair("float32", 20.0), {"bfloat16", 10.0}}) {
    runs_.about["dtype"] = dtype;
    runs_.use("cmoe", "S3A3E8", 0.75);
    runs_.convert(0, seconds);
    runs_.measure_perplexity(0, 50);
  }
  const Table table = this->table();
  ASSERT_THAT(table.rows, SizeIs(2));
  for (size_t row = 0; row < 2; ++row) {
    const double seconds = table.rows[row].about.dtype == "float32" ? 20 : 10;
    EXPECT_EQ(cell(table, row, "conversion/seconds").value, seconds);
  }
}

TEST_F(ComparisonTest, OptionsThatDifferAreNamed) {
  runs_.use("static_pruning", "S6A0E8", 0.75, {{"criterion", "rate"}, {"windows", 8}, {"refit", false}});
  runs_.measure_perplexity(0, 50);
  runs_.use("static_pruning", "S6A0E8", 0.75, {{"criterion", "energy"}, {"windows", 8}, {"refit", true}});
  runs_.measure_perplexity(0, 45);
  runs_.use("cmoe", "S3A3E8", 0.75, {{"score", "paper"}, {"windows", 8}});
  runs_.about["changed_options"] = {{"score", "paper"}};
  runs_.measure_perplexity(0, 48);
  EXPECT_THAT(labels(table()), ElementsAre("tiny: static_pruning (criterion=energy, refit=true) S6A0E8",
                                           "tiny: static_pruning (criterion=rate, refit=false) S6A0E8",
                                           "tiny: cmoe (score=paper) S3A3E8"));
}

TEST_F(ComparisonTest, DifferentCalibrationIsAnotherRow) {
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure_perplexity(0, 50);
  runs_.about["calibration"]["windows"] = 16;
  runs_.measure_perplexity(0, 49);
  EXPECT_THAT(table().rows, SizeIs(2));
}

TEST_F(ComparisonTest, TaskOptionsAreColumnsOfTheirOwn) {
  for (const int64_t windows : {5, 148}) {
    runs_.measure(0, {SyntheticRuns::perplexity(20)}, "perplexity", {{"max_windows", windows}, {"window", 2048}});
  }
  const Table table = this->table();
  ASSERT_THAT(table.rows, SizeIs(1));
  ASSERT_THAT(table.columns, SizeIs(2));
  EXPECT_EQ(table.columns[0].detail, "max_windows=5");
  EXPECT_EQ(table.columns[1].detail, "max_windows=148");
}

TEST_F(ComparisonTest, ColumnsGoFromSizeToQualityToCost) {
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.convert(0, 20);
  runs_.measure(0, {{"wiki/gptq-2048/nll", "nat/token", 3, Direction::kLowerIsBetter}, SyntheticRuns::perplexity(20)});
  runs_.measure(0,
                {{"total_parameters", "parameters", 100},
                 {"activated_parameters/ffn", "parameters", 40},
                 {"activated_parameters/all", "parameters", 80}},
                "activated_parameters");
  runs_.measure(0,
                {{"expert_load/entropy", "", 0.9, Direction::kHigherIsBetter},
                 {"expert_load/dead_experts", "experts", 2, Direction::kLowerIsBetter},
                 {"expert_load/layer-00/entropy", "", 0.9, Direction::kHigherIsBetter}},
                "expert_load");
  const Table table = this->table();
  EXPECT_THAT(metrics(table),
              ElementsAre("activated_parameters/all", "total_parameters", "wiki/gptq-2048/nll", "wiki/gptq-2048/ppl",
                          "activated_parameters/ffn", "expert_load/entropy", "expert_load/dead_experts",
                          "expert_load/layer-00/entropy", "conversion/seconds", "conversion/peak_memory",
                          "conversion/seconds/forward", "conversion/seconds/observe"));
  std::vector<std::string> headlines;
  for (const Column& column : table.columns) {
    if (column.is_headline) headlines.push_back(column.metric);
  }
  EXPECT_THAT(headlines, ElementsAre("activated_parameters/all", "total_parameters", "wiki/gptq-2048/ppl",
                                     "expert_load/entropy", "conversion/seconds", "conversion/peak_memory"));
}

TEST_F(ComparisonTest, TasksOfAGroupAreTooFineWhereTheGroupIsThere) {
  const auto headlines = [](const std::string& tasks, const std::vector<std::string>& metrics) {
    SyntheticRuns runs;
    std::vector<Metric> accuracies;
    for (const std::string& metric : metrics) accuracies.push_back({metric, "", 0.5, Direction::kHigherIsBetter});
    runs.measure(0, accuracies, "lm_eval", {{"tasks", tasks}});
    std::vector<std::string> shown;
    for (const Column& column : compare_runs(runs.runs()).columns) {
      if (column.is_headline) shown.push_back(column.metric);
    }
    return shown;
  };
  EXPECT_THAT(headlines("openllm-v1", {"mmlu/5-shot/acc", "mmlu_stem/5-shot/acc", "mmlu_virology/5-shot/acc",
                                       "mmlu_astronomy/acc", "arc_easy/acc"}),
              ElementsAre("mmlu/5-shot/acc", "mmlu_astronomy/acc", "arc_easy/acc"));
  EXPECT_THAT(headlines("mmlu_stem, arc_easy", {"mmlu_stem/acc", "mmlu_astronomy/acc", "arc_easy/acc"}),
              ElementsAre("mmlu_stem/acc", "arc_easy/acc"));
  EXPECT_THAT(headlines("quick,mmlu_stem", {"mmlu_stem/acc", "piqa/acc"}), ElementsAre("mmlu_stem/acc", "piqa/acc"));
}

TEST_F(ComparisonTest, WhatATaskHasNotToSayOfAModelDoesNotApply) {
  runs_.measure(0, {}, "expert_load");
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure(0, {{"expert_load/entropy", "", 0.9, Direction::kHigherIsBetter}}, "expert_load");
  EXPECT_EQ(cell(table(), 0, "expert_load/entropy").status, CellStatus::kNotApplicable);
  EXPECT_EQ(cell(table(), 1, "expert_load/entropy").status, CellStatus::kValue);
}

TEST_F(ComparisonTest, WhatNobodyMeasuredIsNotRun) {
  runs_.measure_perplexity(0, 25);
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.convert(0, 20);
  ASSERT_THAT(table().rows, SizeIs(2));
  EXPECT_EQ(cell(table(), 1, kPerplexity).status, CellStatus::kNotRun);
  EXPECT_EQ(cell(table(), 1, "conversion/seconds").status, CellStatus::kValue);
}

TEST_F(ComparisonTest, FailedMeasurementIsAFailedCell) {
  runs_.measure_perplexity(0, 25);
  runs_.use("cmoe", "S3A3E8", 0.75);
  SyntheticRuns::fail(runs_.measure_perplexity(0, 0), "out of memory");
  const Table table = this->table();
  EXPECT_EQ(cell(table, 1, kPerplexity).status, CellStatus::kFailed);
  EXPECT_EQ(cell(table, 1, kPerplexity).seeds->reason, "out of memory");
  ASSERT_THAT(table.failures, SizeIs(1));
  EXPECT_EQ(table.failures[0].subject, "cmoe S3A3E8");
  EXPECT_EQ(table.failures[0].stage, "perplexity");
  EXPECT_EQ(table.failures[0].reason, "out of memory");
}

TEST_F(ComparisonTest, FailedConversionFailsWhatWouldHaveMeasuredIt) {
  runs_.measure_perplexity(0, 25);
  runs_.use("cmoe", "S3A3E7", 0.75);
  SyntheticRuns::fail(runs_.convert(0, 20), "7 experts do not share out 1536 neurons");
  const Table table = this->table();
  ASSERT_THAT(table.rows, SizeIs(2));
  EXPECT_EQ(cell(table, 1, kPerplexity).status, CellStatus::kFailed);
  EXPECT_EQ(cell(table, 1, kPerplexity).seeds->reason, "7 experts do not share out 1536 neurons");
  EXPECT_THAT(table.failures, SizeIs(1));
}

TEST_F(ComparisonTest, TaskThatOnlyFailedHasAColumn) {
  SyntheticRuns::fail(runs_.measure_perplexity(0, 25), "text is missing");
  ASSERT_THAT(metrics(table()), ElementsAre("perplexity"));
  EXPECT_EQ(table().rows[0].cells[0].status, CellStatus::kFailed);
}

TEST_F(ComparisonTest, SeedsThatFailedAreToldBesideTheMeanOfTheOthers) {
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure_perplexity(0, 40);
  SyntheticRuns::fail(runs_.measure_perplexity(1, 0), "out of memory");
  SyntheticRuns::fail(runs_.convert(2, 20), "disk");
  const Cell cell = this->cell(table(), 0, kPerplexity);
  EXPECT_EQ(cell.status, CellStatus::kValue);
  EXPECT_EQ(cell.value, 40);
  EXPECT_THAT(cell.seeds->measured, ElementsAre(0));
  EXPECT_THAT(cell.seeds->failed, ElementsAre(1, 2));
  EXPECT_THAT(table().rows[0].seeds, ElementsAre(0, 1, 2));
}

TEST_F(ComparisonTest, TextThatIsCalibratedOnIsMarked) {
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure_perplexity(0, 40);
  EXPECT_FALSE(cell(table(), 0, kPerplexity).overlaps_calibration);
  runs_.about["calibration"]["texts"] = {"wiki"};
  runs_.measure_perplexity(0, 40);
  runs_.about["calibration"]["texts"] = {"elsewhere"};
  runs_.about["calibration"]["overlap"] = true;
  runs_.measure_perplexity(0, 40);
  const Table table = this->table();
  ASSERT_THAT(table.rows, SizeIs(3));
  EXPECT_TRUE(cell(table, 1, kPerplexity).overlaps_calibration);
  EXPECT_TRUE(cell(table, 2, kPerplexity).overlaps_calibration);
}

TEST_F(ComparisonTest, ChangedTextIsAWarning) {
  runs_.measure_perplexity(0, 25);
  EXPECT_THAT(table().warnings, IsEmpty());
  runs_.use("cmoe", "S3A3E8", 0.75);
  runs_.measure_perplexity(0, 40).dataset->content_hash = "c1";
  EXPECT_THAT(table().warnings,
              ElementsAre("perplexity on wiki: measured on 2 versions of that text, so rows may not compare"));
}

TEST_F(ComparisonTest, OtherOptionsMayReadOtherFiles) {
  runs_.measure(0, {SyntheticRuns::perplexity(1)}, "lm_eval", {{"num_fewshot", 0}});
  runs_.measure(0, {SyntheticRuns::perplexity(1)}, "lm_eval", {{"num_fewshot", 5}}).dataset->content_hash = "c1";
  EXPECT_THAT(table().warnings, IsEmpty());
}

TEST_F(ComparisonTest, ConfigOfAnyShapeMakesARow) {
  for (const nlohmann::json& config : {nlohmann::json(), nlohmann::json(3), nlohmann::json::array({1}),
                                       nlohmann::json({{"model", 1},
                                                       {"method", nullptr},
                                                       {"options", "x"},
                                                       {"active_ratio", "0.5"},
                                                       {"calibration", {{"texts", 5}, {"tokens", "many"}}},
                                                       {"identity", {{"model", 7}, {"conversion", "x"}}},
                                                       {"task_options", 7}}),
                                       nlohmann::json({{"identity", {1}}})}) {
    RunRecord run = runs_.measure_perplexity(0, 1);
    run.config = config;
    EXPECT_THAT(compare_runs({run}).rows, SizeIs(1));
  }
}

}  // namespace
}  // namespace moebench
