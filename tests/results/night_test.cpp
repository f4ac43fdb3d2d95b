// Nights made by hand: what compares with what, what is said of it, and how it is written.
#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "results/chosen_baseline.h"
#include "results/night_comparison.h"
#include "results/render_night.h"

namespace moebench {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr double kDay = 86400;

// Nights of a sweep with a quality task and a timed one on one conversion.
class NightMaker {
 public:
  double perplexity_change = 0;  // of every item, nats per token
  double slowdown = 0;
  int64_t parameters = 1000;
  std::string data = std::string(64, 'a'), machine = "two cores", build = "1a2b3c4d", sweep = "tiny";
  std::string model = "tiny";
  bool fails = false;
  int64_t rounds = 11;

  std::vector<RunRecord> night(int number) {
    std::vector<RunRecord> runs;
    const double started = kDay * number;
    RunRecord quality = run(number, 0, "perplexity", false, started);
    const double nll = 3 + perplexity_change;
    quality.metrics = {{"test/gptq-48/ppl", "", std::exp(nll), Direction::kLowerIsBetter, 3},
                       {"test/gptq-48/nll", "nat/token", nll, Direction::kLowerIsBetter, 3},
                       {"layers/layer-3/entropy", "", 0.5 + number, Direction::kNeither}};
    for (int item = 0; item < 5; ++item) {
      quality.items.push_back({"test/gptq-48", std::to_string(item), 48 * (nll + 0.1 * (item - 2)), 48});
    }
    RunRecord counters = run(number, 0, "activated_parameters", false, started + 1);
    counters.metrics = {{"activated_parameters/all", "parameters", static_cast<double>(parameters)}};
    runs.push_back(quality);
    runs.push_back(counters);
    for (int64_t round = 0; round < rounds; ++round) {
      RunRecord timed = run(number, round, "kernel_latency", true, started + 2 + static_cast<double>(round));
      const double wobble = 1 + 0.001 * static_cast<double>(round - 5) + 1e-5 * number;
      timed.metrics = {{"latency/time_over_dense", "", 0.6 * (1 + slowdown) * wobble, Direction::kLowerIsBetter, 15},
                       {"latency/time_over_dense/low", "", 0.59, Direction::kNeither},
                       {"latency/p50", "s", 0.002 * (1 + slowdown) * wobble, Direction::kLowerIsBetter, 15},
                       {"latency/p99", "s", 0.01 * static_cast<double>(number + 1), Direction::kLowerIsBetter, 15}};
      runs.push_back(timed);
    }
    if (fails) {
      RunRecord failed = run(number, 0, "expert_load", false, started + 9);
      failed.status = "failed";
      failed.error = "out of memory";
      runs.push_back(failed);
    }
    return runs;
  }

 private:
  RunRecord run(int number, int64_t round, const std::string& task, bool timed, double started) {
    RunRecord run;
    run.uuid = task + "-" + std::to_string(number) + "-" + std::to_string(round);
    run.cell_key = run.uuid;
    run.stage = "measure";
    run.status = "completed";
    run.seed = 1;
    run.started = started;
    run.ended = started + 1;
    run.config = {{"model", model},
                  {"method", "cmoe"},
                  {"shape", "S3A3E8"},
                  {"dtype", "float32"},
                  {"seed", 1},
                  {"task", task},
                  {"task_options", {{"window", 48}}}};
    run.config["identity"] = {{"task_data", data}, {"version", 2}, {"model", {{"weights", "w"}}}};
    run.config["night"] = {
        {"id", "night-" + std::to_string(number)}, {"sweep", sweep}, {"round", round}, {"timed", timed}};
    run.machine_class = machine;
    run.build = build;
    return run;
  }
};

class NightTest : public testing::Test {
 protected:
  void add_nights(int count) {
    for (int night = 0; night < count; ++night) add_night(next_++);
  }
  void add_night(int number) {
    for (RunRecord& run : maker_.night(number)) runs_.push_back(std::move(run));
  }

  // The last night that was added, against the best of those before it.
  NightTable compare(const std::string& baseline = "best") {
    nights_ = read_nights(runs_);
    const Night tonight = nights_.back();
    tonight_ = tonight;
    nights_.pop_back();
    chosen_.emplace(baseline, baselines_, runs_, nights_);
    return compare_night(tonight_, chosen_->against(tonight_),
                         {nights_, [](const RunRecord& run) { return run.items; }, {}});
  }

  static const NightRow& row(const NightTable& table, const std::string& metric) {
    for (const NightRow& row : table.rows) {
      if (row.metric == metric) return row;
    }
    throw std::out_of_range(metric);
  }

  NightMaker maker_;
  std::vector<RunRecord> runs_;
  std::vector<Night> nights_;
  std::vector<BaselineRecord> baselines_;
  std::optional<ChosenBaseline> chosen_;
  Night tonight_;
  int next_ = 0;
};

TEST_F(NightTest, RoundsAreSamplesAndLayersAreLeftOut) {
  add_nights(2);
  const std::vector<Night> nights = read_nights(runs_);
  ASSERT_EQ(nights.size(), 2u);
  EXPECT_EQ(nights[0].id, "night-0");
  EXPECT_EQ(nights[1].started, kDay);
  std::vector<std::string> names;
  for (const NightSeries& series : nights[0].series) names.push_back(series.metric.name);
  EXPECT_THAT(names,
              ElementsAre("test/gptq-48/ppl", "test/gptq-48/nll", "activated_parameters/all", "latency/time_over_dense",
                          "latency/time_over_dense/low", "latency/p50", "latency/p99"));
  EXPECT_EQ(nights[0].series[3].samples.size(), 11u);
  EXPECT_EQ(nights[0].series[3].value(), 0.6);
  EXPECT_TRUE(nights[0].series[3].is_timed);
  EXPECT_FALSE(nights[0].series[0].is_timed);
  EXPECT_EQ(nights[0].series[0].subject, "tiny cmoe S3A3E8, seed 1");
}

TEST_F(NightTest, RunsOfSweepsAreNoNight) {
  RunRecord run;
  run.uuid = "of a sweep";
  EXPECT_THAT(read_nights({run}), IsEmpty());
  run.config["night"] = {{"id", "x"}, {"sweep", "tiny"}, {"round", "not a number"}, {"timed", true}};
  EXPECT_THAT(read_nights({run}), IsEmpty());
}

TEST_F(NightTest, NightsThatAreAlikeAreOk) {
  add_nights(8);
  const NightTable table = compare();
  ASSERT_EQ(table.rows.size(), 4u) << "items, a counter, a ratio and a time; no percentile";
  for (const NightRow& row : table.rows) EXPECT_TRUE(row.is(Verdict::kOk)) << row.metric;
  EXPECT_EQ(night_exit_code(table, true), 0);
  EXPECT_EQ(table.title, "tiny, 1970-01-08 00:00 UTC");
  EXPECT_EQ(table.baseline, "best of the last 7 nights");
}

TEST_F(NightTest, EachRuleFindsItsRegression) {
  add_nights(8);
  maker_.perplexity_change = 0.01;
  maker_.slowdown = 0.05;
  maker_.parameters = 1001;
  add_nights(1);
  const NightTable table = compare();
  EXPECT_EQ(row(table, "test/gptq-48").rule, MetricRule::kQuality);
  EXPECT_TRUE(row(table, "test/gptq-48").is(Verdict::kRegressed));
  EXPECT_NEAR(row(table, "test/gptq-48").evidence->worsening, 0.01, 1e-9);
  EXPECT_EQ(row(table, "activated_parameters/all").rule, MetricRule::kCounter);
  EXPECT_TRUE(row(table, "activated_parameters/all").is(Verdict::kRegressed));
  EXPECT_EQ(row(table, "latency/p50").rule, MetricRule::kTiming);
  EXPECT_TRUE(row(table, "latency/p50").is(Verdict::kRegressed)) << "the history says that seconds hardly move";
  EXPECT_TRUE(row(table, "latency/time_over_dense").is(Verdict::kRegressed));
  EXPECT_EQ(night_exit_code(table, false), 1);
}

TEST_F(NightTest, ASlowerNightIsNoBaselineForTheNext) {
  add_nights(6);
  maker_.slowdown = 0.05;
  add_nights(1);
  maker_.slowdown = 0.06;
  add_nights(1);
  EXPECT_TRUE(row(compare("best"), "latency/time_over_dense").is(Verdict::kRegressed));
  EXPECT_TRUE(row(compare("last"), "latency/time_over_dense").is(Verdict::kOk));
}

// Three in a row: medians 5 4 4 3 3 3, of which the last is chosen.
TEST(BestStretchTest, IsTheBestMedianInARowAndOfEqualOnesTheLast) {
  const std::vector<double> values = {5, 9, 4, 3, 4, 3, 1, 8};
  EXPECT_EQ(best_stretch(values, Direction::kLowerIsBetter, 3), 5u);
  EXPECT_EQ(best_stretch(values, Direction::kHigherIsBetter, 3), 0u);
  EXPECT_EQ(best_stretch(values, Direction::kLowerIsBetter, 1), 6u);
  EXPECT_EQ(best_stretch(values, Direction::kNeither, 1), 7u);
  EXPECT_EQ(best_stretch({2, 3}, Direction::kLowerIsBetter, 5), 0u);
}

TEST_F(NightTest, TheBestFiveNightsInARowAreOneBaseline) {
  add_nights(9);
  compare();
  const Baseline best = chosen_->against(tonight_);
  size_t of_times = 0;
  for (const auto& [key, series] : best.series) {
    if (series.metric.name != "latency/p50") continue;
    of_times = series.samples.size();
    EXPECT_EQ(series.runs.front()->uuid, "kernel_latency-0-0") << "times rise by 1e-5 a night";
  }
  EXPECT_EQ(of_times, 5u * 11u);
}

TEST_F(NightTest, AStepIsDated) {
  add_nights(10);
  maker_.slowdown = 0.05;
  add_nights(6);
  EXPECT_EQ(row(compare(), "latency/time_over_dense").note,
            "a step of +5 % since 1970-01-11 00:00 UTC; last good: 1970-01-10 00:00 UTC");
}

TEST_F(NightTest, ADriftIsDatedWhereNoNightWasWorseThanTheLast) {
  add_nights(12);
  for (int night = 0; night < 10; ++night) {
    maker_.slowdown += 0.005;
    add_nights(1);
    EXPECT_TRUE(row(compare("last"), "latency/time_over_dense").is(Verdict::kOk));
  }
  const NightTable table = compare("best");
  EXPECT_TRUE(row(table, "latency/time_over_dense").is(Verdict::kRegressed));
  EXPECT_THAT(row(table, "latency/time_over_dense").note,
              AllOf(HasSubstr("drifts by +0.5 % a night since 1970-01-13"), HasSubstr("last good: 1970-01-12")));
}

TEST_F(NightTest, AnotherMachineOrOtherDataDoNotCompareAndSayWhy) {
  add_nights(3);
  maker_.machine = "four cores";
  maker_.data = std::string(64, 'b');
  maker_.slowdown = 1;
  add_nights(1);
  const NightTable table = compare();
  for (const NightRow& row : table.rows) EXPECT_EQ(row.status, RowStatus::kNotComparable);
  EXPECT_EQ(table.rows[0].note,
            "machine class: two cores then, four cores now; task_data: aaaaaaaaaaaa… then, "
            "bbbbbbbbbbbb… now");
  EXPECT_EQ(night_exit_code(table, false), 5);
}

TEST_F(NightTest, TheLatestComparableNightsCountAfterAChangeOfMachine) {
  maker_.machine = "four cores";
  add_nights(3);
  maker_.machine = "two cores";
  add_nights(2);
  EXPECT_EQ(night_exit_code(compare(), true), 0);
}

TEST_F(NightTest, WhatIsNotMeasuredAnyMoreIsMissing) {
  add_nights(2);
  const auto is_counter = [](const RunRecord& run) { return run.uuid == "activated_parameters-1-0"; };
  std::erase_if(runs_, is_counter);
  const NightTable table = compare();
  EXPECT_EQ(row(table, "activated_parameters/all").status, RowStatus::kMissing);
  EXPECT_THAT(render_night_markdown(table, {}, false), Not(HasSubstr(rule_name(MetricRule::kCounter))))
      << "a row without a verdict names no rule";
  EXPECT_EQ(night_exit_code(table, false), 5);
}

TEST_F(NightTest, AFailedCellIsExitCode4UnlessSomethingRegressed) {
  add_nights(2);
  maker_.fails = true;
  add_nights(1);
  const NightTable table = compare();
  EXPECT_THAT(table.failures, ElementsAre("tiny cmoe S3A3E8, seed 1 expert_load: out of memory"));
  EXPECT_EQ(night_exit_code(table, false), 4);
  maker_.parameters = 5;
  add_nights(1);
  EXPECT_EQ(night_exit_code(compare(), false), 1);
}

TEST_F(NightTest, InconclusiveIsExitCode6IfStrict) {
  maker_.rounds = 4;
  add_nights(1);
  maker_.slowdown = 0.5;
  add_nights(1);
  const NightTable table = compare();
  EXPECT_TRUE(row(table, "latency/time_over_dense").is(Verdict::kInconclusive)) << "of 70 orders two are as extreme";
  EXPECT_EQ(night_exit_code(table, true), 6);
  EXPECT_EQ(night_exit_code(table, false), 0);
}

TEST_F(NightTest, ARoundThatIsNoNumberIsARegression) {
  add_nights(2);
  for (RunRecord& run : runs_) {
    if (run.uuid == "kernel_latency-1-4") run.metrics[0].value = std::numeric_limits<double>::quiet_NaN();
  }
  EXPECT_TRUE(row(compare(), "latency/time_over_dense").is(Verdict::kRegressed));
}

TEST_F(NightTest, BaselinesAreChosenByNameOrCommit) {
  add_nights(2);
  maker_.build = "9f9f9f9f (modified)";
  maker_.parameters = 2000;
  add_nights(2);
  baselines_ = {{"accepted", "me", "", 1, {"activated_parameters-0-0"}},
                {"accepted", "me", "meant", 2, {"activated_parameters-2-0"}}};
  EXPECT_TRUE(row(compare("accepted"), "activated_parameters/all").is(Verdict::kOk)) << "the later one counts";
  EXPECT_EQ(row(compare("accepted"), "latency/p50").status, RowStatus::kNew);
  EXPECT_TRUE(row(compare("commit:1a2b"), "activated_parameters/all").is(Verdict::kRegressed));
  EXPECT_TRUE(row(compare("commit:1a2b3c4d5e6f7a8b"), "activated_parameters/all").is(Verdict::kRegressed));
  EXPECT_TRUE(row(compare("commit:9f9f"), "activated_parameters/all").is(Verdict::kOk));
  EXPECT_THROW(compare("commit:7777"), MissingBaseline);
  EXPECT_THROW(compare("commit:"), MissingBaseline);
  try {
    compare("unknown");
    FAIL();
  } catch (const MissingBaseline& error) {
    EXPECT_THAT(error.what(), HasSubstr("there is no baseline 'unknown'; set: 'accepted'"));
  }
}

TEST_F(NightTest, AFirstNightHasNoBaseline) {
  add_nights(1);
  EXPECT_THROW(compare("best"), MissingBaseline);
  const NightTable table = compare_night(tonight_, {}, {});
  EXPECT_EQ(night_exit_code(table, false), 5);
}

// Names that would end an element, a table cell or a string, or command a terminal.
TEST_F(NightTest, HostileNamesAreEscapedInEveryFormat) {
  maker_.model = "]]>\"'<b>&|`\x1b[31m\xff\n";
  add_nights(8);
  maker_.slowdown = 0.05;
  maker_.fails = true;
  add_nights(1);
  const NightTable table = compare();
  const std::string markdown = render_night_markdown(table, {"<m>", "b|d", "moebench"}, true);
  EXPECT_THAT(markdown, AllOf(Not(HasSubstr("<b>")), Not(HasSubstr("<m>")), Not(HasSubstr("\x1b")),
                              Not(HasSubstr("\xff")), HasSubstr("&lt;b>&amp;\\|\\`")));
  const std::string junit = render_night_junit(table);
  EXPECT_THAT(junit, AllOf(Not(HasSubstr("<b>")), Not(HasSubstr("\x1b")), Not(HasSubstr("\xff")),
                           HasSubstr("]]&gt;&quot;&#39;&lt;b&gt;&amp;|`")));
  for (const std::string& text : {render_night_google_benchmark(tonight_), render_night_bencher(tonight_),
                                  render_night_github_action(tonight_, Direction::kLowerIsBetter)}) {
    EXPECT_NO_THROW(nlohmann::json::parse(text));
    EXPECT_THAT(text, AllOf(Not(HasSubstr("\x1b")), Not(HasSubstr("\xff"))));
  }
}

TEST_F(NightTest, JunitCountsWhatItLists) {
  add_nights(8);
  maker_.slowdown = 0.05;
  maker_.fails = true;
  add_nights(1);
  const std::string junit = render_night_junit(compare());
  EXPECT_THAT(junit, HasSubstr("tests=\"5\" failures=\"2\" errors=\"1\" skipped=\"0\""));
  EXPECT_THAT(junit, HasSubstr("<testcase classname=\"tiny cmoe S3A3E8, seed 1\" name=\"latency/p50\"><failure message="
                               "\"regressed: "));
  EXPECT_THAT(junit, HasSubstr("name=\"activated_parameters/all\"/>"));
}

TEST_F(NightTest, OtherProgramsFindTheirFields) {
  add_nights(2);
  compare();
  const auto benchmark = nlohmann::json::parse(render_night_google_benchmark(tonight_));
  EXPECT_EQ(benchmark["context"]["machine_class"], "two cores");
  int repetitions = 0;
  for (const auto& entry : benchmark["benchmarks"]) {
    EXPECT_EQ(entry["run_type"], "iteration");
    if (entry["name"] != "tiny cmoe S3A3E8, seed 1/latency/p50") continue;
    EXPECT_EQ(entry["repetition_index"], repetitions++);
    EXPECT_EQ(entry["repetitions"], 11);
    EXPECT_EQ(entry["time_unit"], "s");
  }
  EXPECT_EQ(repetitions, 11);
  const auto bencher = nlohmann::json::parse(render_night_bencher(tonight_));
  const auto& time = bencher["tiny cmoe S3A3E8, seed 1"]["latency/p50"];
  EXPECT_LT(time["lower_value"], time["value"]);
  EXPECT_LT(time["value"], time["upper_value"]);
  EXPECT_EQ(bencher["tiny cmoe S3A3E8, seed 1"]["activated_parameters/all"]["value"], 1000);
  const auto smaller = nlohmann::json::parse(render_night_github_action(tonight_, Direction::kLowerIsBetter));
  EXPECT_EQ(smaller[0]["name"], "tiny cmoe S3A3E8, seed 1/test/gptq-48/ppl");
  EXPECT_EQ(smaller[1]["unit"], "nat/token");
  EXPECT_EQ(nlohmann::json::parse(render_night_github_action(tonight_, Direction::kHigherIsBetter)).size(), 0u);
}

TEST_F(NightTest, MarkdownSaysWhatRegressedFirst) {
  add_nights(8);
  maker_.slowdown = 0.05;
  add_nights(1);
  const NightTable table = compare();
  EXPECT_EQ(night_summary(table), "**2 regressions**, 2 ok of 4 metrics against best of the last 8 nights");
  const std::string comment = render_night_markdown(table, {"two cores", "1a2b", "moebench nightly x.toml"}, true);
  EXPECT_THAT(comment, HasSubstr("<details><summary>All 4 metrics</summary>"));
  EXPECT_LT(comment.find("**regressed**"), comment.find("<details>"));
  EXPECT_THAT(comment, HasSubstr("Made by `moebench nightly x.toml`."));
}

}  // namespace
}  // namespace moebench
