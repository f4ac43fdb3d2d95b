// Charts against what a reader can work out by hand.
#include "results/chart.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>

#include "results/chart_labels.h"
#include "results/chart_svg.h"
#include "results/comparison.h"
#include "results/heat_map.h"
#include "results/history_charts.h"
#include "results/latency_charts.h"
#include "results/load_maps.h"
#include "results/markup.h"
#include "results/quality_charts.h"
#include "tests/results/synthetic_runs.h"

namespace moebench {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(ChartTest, TicksAreRound) {
  EXPECT_THAT(ticks_of(0, 10, Scale::kLinear), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(ticks_of(20, 30, Scale::kLogarithmic), ElementsAre(20, 22, 24, 26, 28, 30));
  EXPECT_THAT(ticks_of(1, 1000, Scale::kLogarithmic), ElementsAre(1, 3, 10, 30, 100, 300, 1000));
  EXPECT_THAT(ticks_of(5, 5, Scale::kLinear), ElementsAre(5));
}

TEST(ChartTest, CoordinatesAreShort) {
  EXPECT_EQ(coordinate(12), "12");
  EXPECT_EQ(coordinate(12.34), "12.3");
  EXPECT_EQ(coordinate(-0.26), "-0.3");
  EXPECT_EQ(coordinate(std::nan("")), "0");
}

TEST(ChartSvgTest, EveryPointIsDrawnAndNoInfinity) {
  const double infinity = std::numeric_limits<double>::infinity();
  const Chart chart{.title = "t",
                    .series = {{.label = "a", .points = {{.x = 1, .y = 2}, {.x = 2, .y = infinity}, {.x = 3, .y = 4}}},
                               {.label = "b", .points = {{.x = 1, .y = std::nan("")}}}}};
  const std::string svg = draw_chart(chart);
  EXPECT_EQ(count_of(svg, "<title>a, "), 2);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("inf")));
}

TEST(ChartSvgTest, ChartsWithoutPointsOrWithOneAreStillPictures) {
  EXPECT_FALSE(has_points({}));
  EXPECT_THAT(draw_chart({}), Not(HasSubstr("nan")));
  const Chart one{.series = {{.label = "a", .points = {{.x = 0, .y = 0}}}}};
  EXPECT_TRUE(has_points(one));
  EXPECT_THAT(draw_chart(one), Not(HasSubstr("nan")));
}

TEST(ChartSvgTest, TheLargestAndSmallestNumbersAreDrawn) {
  const std::vector<double> values = {1e-310, 1.7e308, -1.7e308, 0, 5e15, 5e15 + 1};
  for (const Scale scale : {Scale::kLinear, Scale::kLogarithmic}) {
    for (const double one : values) {
      for (const double other : values) {
        const Chart chart{.x = {.scale = scale},
                          .y = {.scale = scale},
                          .series = {{.label = "a", .points = {{.x = one, .y = other}, {.x = other, .y = one}}}}};
        const std::string svg = draw_chart(chart);
        EXPECT_THAT(svg, Not(testing::ContainsRegex("nan|inf[^o]"))) << one << " " << other;
        EXPECT_LT(svg.size(), 20000) << "not too many ticks";
      }
    }
  }
}

TEST(ChartSvgTest, AFileOfItsOwnCarriesItsStyle) {
  const std::string svg = standalone_svg(draw_chart({.title = "t"}));
  EXPECT_THAT(svg, testing::StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(svg, Not(HasSubstr("var("))) << "converters know no custom properties";
}

TEST(ChartLabelsTest, NoLabelCoversAnother) {
  std::vector<ChartSeries> series;
  for (int index = 0; index < 12; ++index) {
    series.push_back({.label = "method " + std::to_string(index), .points = {{.x = 1, .y = 100.0}}});
  }
  const ChartLabels labels(series, {});
  const auto placed = labels.placed([](const ChartPoint& point) { return point.y; }, 50, 50 + labels.height());
  ASSERT_THAT(placed, SizeIs(12));
  for (size_t index = 1; index < placed.size(); ++index) EXPECT_GE(placed[index].y - placed[index - 1].y, 18 - 1e-9);
  EXPECT_GE(placed.front().y, 50 - 9);
}

TEST(ChartLabelsTest, LongNamesAreCutBetweenCharacters) {
  const ChartLabels labels(
      {{.label = "static_pruning (größegrößegrößegrößegrößegrößegrößegröße) S6A0E8", .points = {{.x = 1, .y = 1}}}},
      {});
  const auto placed = labels.placed([](const ChartPoint&) { return 0.0; }, 0, 100);
  EXPECT_EQ(placed[0].first_line, "static_pruning S6A0E8");
  EXPECT_EQ(placed[0].second_line, "größegrößegrößegrößegrößegrößegr…");
}

void measure(SyntheticRuns& runs, double perplexity, double parameters) {
  runs.measure_perplexity(0, perplexity);
  runs.measure(0, {{"activated_parameters/all", "parameters", parameters}}, "activated_parameters");
}

// Two sizes of two methods and a bound: b at 50 is beaten by a at 40 in both.
SyntheticRuns sizes() {
  SyntheticRuns runs;
  measure(runs, 20, 100);
  runs.use("a", "S3A3E8", 0.75);
  measure(runs, 30, 80);
  runs.use_oracle();
  measure(runs, 25, 80);
  runs.use("a", "S1A3E8", 0.5);
  measure(runs, 40, 60);
  runs.use("b", "S1A3E8", 0.5);
  measure(runs, 50, 65);
  return runs;
}

TEST(ParetoChartTest, AMethodIsASeriesAndDenseAreLines) {
  const std::vector<Chart> charts = pareto_charts(compare_runs(sizes().runs()));
  ASSERT_THAT(charts, SizeIs(1));
  const Chart& chart = charts[0];
  ASSERT_THAT(chart.series, SizeIs(3));
  EXPECT_EQ(chart.x.title, "activated parameters");
  EXPECT_EQ(chart.horizontal[0].at, 20);
  EXPECT_EQ(chart.vertical[0].at, 100);
  for (const ChartSeries& series : chart.series) {
    if (series.label == "a") {
      ASSERT_THAT(series.points, SizeIs(2));
      EXPECT_EQ(series.points[0].x, 60);
      EXPECT_EQ(series.points[1].y, 30);
    }
    EXPECT_EQ(series.is_bound, series.label == "a, oracle router");
  }
}

TEST(ParetoChartTest, ANameKeepsItsStyleFromChartToChart) {
  SyntheticRuns runs;
  for (const int64_t tokens : {0, 1000}) {
    for (const char* method : {"a", "b"}) {
      if (tokens > 0 && std::string(method) == "a") continue;
      runs.use(method, "S3A3E8", 0.75);
      runs.about["retrained_tokens"] = tokens;
      runs.measure_perplexity(0, 30);
    }
  }
  const std::vector<Chart> charts = pareto_charts(compare_runs(runs.runs()));
  ASSERT_THAT(charts, SizeIs(2));
  EXPECT_EQ(charts[0].series.at(1).label, "b");
  EXPECT_EQ(charts[1].series.at(0).label, "b");
  EXPECT_EQ(charts[0].series[1].style, charts[1].series[0].style);
}

TEST(ParetoChartTest, FrontierIsWhatNobodyBeatsInBothAndBoundsDoNotCompete) {
  const std::vector<ChartPoint> frontier = pareto_charts(compare_runs(sizes().runs())).at(0).frontier;
  ASSERT_THAT(frontier, SizeIs(3));
  EXPECT_EQ(frontier[0].x, 60);
  EXPECT_EQ(frontier[1].y, 30);
  EXPECT_EQ(frontier[2].x, 100);
}

TEST(ParetoChartTest, ErrorBarsAreTheDeviationOverSeeds) {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 20);
  runs.use("a", "S3A3E8", 0.75);
  runs.measure_perplexity(0, 40);
  runs.measure_perplexity(1, 44);  // mean 42, sample deviation the root of 8
  const Chart chart = pareto_charts(compare_runs(runs.runs())).at(0);
  EXPECT_EQ(chart.x.title, "active neurons of the feed-forward networks, %") << "nobody counted parameters";
  EXPECT_NEAR(*chart.series[0].points[0].low, 42 - std::sqrt(8), 1e-9);
  EXPECT_NEAR(*chart.series[0].points[0].high, 42 + std::sqrt(8), 1e-9);
}

TEST(RetrainingChartTest, ALineForEachMethodAtOneSizeFromItsUntrainedPoint) {
  SyntheticRuns runs;
  runs.measure_perplexity(0, 20);
  for (const int64_t tokens : {0, 1000}) {
    runs.use("a", "S3A3E8", 0.75);
    runs.about["retrained_tokens"] = tokens;
    runs.measure_perplexity(0, tokens == 0 ? 40 : 30);
  }
  runs.use("never retrained", "S3A3E8", 0.75);
  runs.measure_perplexity(0, 50);
  const std::vector<Chart> charts = retraining_charts(compare_runs(runs.runs()));
  ASSERT_THAT(charts, SizeIs(1));
  ASSERT_THAT(charts[0].series, SizeIs(1));
  EXPECT_EQ(charts[0].series[0].points[1].y, 30);
  EXPECT_THAT(charts[0].x.ticks, ElementsAre(0, 1000));
  EXPECT_THAT(retraining_charts(compare_runs(sizes().runs())), IsEmpty());
}

TEST(LatencyChartTest, ReadsRatiosWithIntervalsAndMarksBreakEven) {
  SyntheticRuns runs;
  runs.use("cmoe", "S1A3E8", 0.5);
  const std::string prefix = "kernel_latency/float32/";
  std::vector<Metric> metrics = {{prefix + "break_even_tokens", "tokens", 16, Direction::kLowerIsBetter}};
  for (const auto& [tokens, ratio] : {std::pair(1, 0.5), {4, 1.1}, {16, 0.9}}) {
    const std::string name = prefix + "tokens-" + std::to_string(tokens) + "/time_over_dense";
    metrics.push_back({name, "", ratio, Direction::kLowerIsBetter});
    metrics.push_back({name + "/low", "", ratio - 0.1});
    metrics.push_back({name + "/high", "", ratio + 0.1});
  }
  runs.measure(0, metrics, "kernel_latency");
  const std::vector<Chart> charts = latency_charts(compare_runs(runs.runs()));
  ASSERT_THAT(charts, SizeIs(1));
  const std::vector<ChartPoint>& points = charts[0].series.at(0).points;
  ASSERT_THAT(points, SizeIs(3));
  EXPECT_EQ(points[1].x, 4);
  EXPECT_NEAR(*points[1].low, 1.0, 1e-9);
  EXPECT_FALSE(points[0].is_marked);
  EXPECT_TRUE(points[2].is_marked);
}

TEST(LoadMapTest, ReadsExpertsOfLayersAndCrossesTheDead) {
  SyntheticRuns runs;
  runs.use("cmoe", "S0A1E2", 0.5);
  runs.measure(0,
               {{"expert_load/layer-00/expert-0", "", 0.5},
                {"expert_load/layer-00/expert-1", "", 0.5},
                {"expert_load/layer-01/expert-0", "", 1},
                {"expert_load/layer-01/expert-1", "", 0}},
               "expert_load");
  const std::vector<LoadMap> maps = load_maps(compare_runs(runs.runs()));
  ASSERT_THAT(maps, SizeIs(1));
  ASSERT_THAT(maps[0].layers, SizeIs(2));
  EXPECT_THAT(maps[0].layers[1].shares, ElementsAre(1, 0));
  const std::string svg = draw_load_map(maps[0]);
  EXPECT_EQ(count_of(svg, "class=\"axis\""), 1) << "one stroke";
}

TEST(LoadMapTest, NamesThatAreNoLayerOrExpertAreLeftOut) {
  SyntheticRuns runs;
  runs.use("cmoe", "S0A1E2", 0.5);
  runs.measure(0,
               {{"expert_load/layer-x/expert-0", "", 0.5},
                {"expert_load/layer-0/expert-99999999999", "", 0.5},
                {"expert_load/layer--1/expert-0", "", 0.5}},
               "expert_load");
  EXPECT_THAT(load_maps(compare_runs(runs.runs())), IsEmpty());
}

TEST(HistoryChartTest, AStepIsMarkedAndTheLevelsAroundItAreTheMeans) {
  SyntheticRuns runs;
  for (int night = 0; night < 20; ++night) runs.measure_perplexity(0, (night < 12 ? 20 : 22) + 0.01 * (night % 2));
  std::vector<Chart> charts = history_charts(runs.runs());
  mark_changes(charts.at(0));
  const ChartSeries& series = charts[0].series.at(0);
  for (size_t night = 0; night < 20; ++night) EXPECT_EQ(series.points[night].is_marked, night == 12) << night;
  EXPECT_THAT(series.points[12].note, HasSubstr("ALERT: another level from here on, +10.0 %"));
  ASSERT_THAT(series.levels, SizeIs(2));
  EXPECT_NEAR(series.levels[0].y, 20.005, 1e-9);
  EXPECT_NEAR(series.levels[1].y, 22.005, 1e-9);
}

TEST(HistoryChartTest, ThreeTimesAreAHistoryAndTwoAreNone) {
  SyntheticRuns runs;
  for (const double value : {20.0, 21.0}) runs.measure_perplexity(0, value);
  EXPECT_THAT(history_charts(runs.runs()), IsEmpty());
  runs.measure_perplexity(0, 22);
  const std::vector<Chart> charts = history_charts(runs.runs());
  ASSERT_THAT(charts, SizeIs(1));
  EXPECT_THAT(charts[0].series.at(0).points, SizeIs(3));
}

}  // namespace
}  // namespace moebench
