#include "results/history_charts.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <map>
#include <set>

#include <fmt/format.h>

#include "results/history_changes.h"
#include "results/run_description.h"
#include "results/shown_table.h"

namespace moebench {
namespace {

constexpr size_t kLeastTimes = 3;  // two points are a comparison, not a history

std::string day_of(double seconds) {
  const auto time = static_cast<std::time_t>(std::clamp(seconds, 0.0, 2.5e11));
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

std::string minute_of(double seconds) {
  const auto time = static_cast<std::time_t>(std::clamp(seconds, 0.0, 2.5e11));
  std::tm parts{};
  gmtime_r(&time, &parts);
  return fmt::format("{:02}-{:02} {:02}:{:02}", parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min);
}

// What a row is without its versions and hashes: those are what a history is about.
std::string series_key(const DescribedRun& run) {
  const RunDescription& about = run.about;
  return nlohmann::json{about.model,     about.dtype,  about.method,           about.shape,
                        about.options,   about.router, about.retrained_tokens, about.retrain_recipe,
                        run.record->seed}
      .dump();
}

std::string label_of(const DescribedRun& run) {
  Row row{.about = run.about};
  for (const auto& [name, value] : run.about.changed_options.items()) {
    row.options +=
        (row.options.empty() ? "" : ", ") + name + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return row_title(row) + ", seed " + std::to_string(run.record->seed);
}

struct HistoryColumn {
  std::string title;
  Direction direction = Direction::kNeither;
  std::vector<std::string> order;  // series keys
  std::map<std::string, ChartSeries> series;
};

// Layers, experts and percentiles have histories of no interest of their own.
bool is_followed(const Metric& metric) {
  return metric.direction != Direction::kNeither && metric.name.find("/layer-") == std::string::npos &&
         !metric.name.starts_with("retraining/loss/") && !metric.name.starts_with("conversion/seconds/");
}

std::map<std::string, HistoryColumn> collect(const std::vector<DescribedRun>& runs) {
  std::map<std::string, size_t> num_times;
  for (const DescribedRun& run : runs) ++num_times[series_key(run)];
  std::map<std::string, HistoryColumn> columns;
  for (const DescribedRun& run : runs) {
    const std::string key = series_key(run);
    if (run.is_failed() || num_times.at(key) < kLeastTimes) continue;
    const std::string label = label_of(run), options = run.about.task_options.dump();
    for (const Metric& metric : run.record->metrics) {
      if (!is_followed(metric) || !std::isfinite(metric.value)) continue;
      HistoryColumn& column = columns[metric.name + options];
      column.title = run.about.model + ": " + metric.name;
      column.direction = metric.direction;
      if (!column.series.contains(key)) column.order.push_back(key);
      ChartSeries& series = column.series[key];
      series.label = label;
      ChartPoint point{.x = run.record->started, .y = metric.value};
      if (metric.standard_error) {
        point.low = metric.value - *metric.standard_error;
        point.high = metric.value + *metric.standard_error;
      }
      point.note = "moebench " + run.record->build.substr(0, kShownBuild);
      series.points.push_back(std::move(point));
    }
  }
  return columns;
}

bool is_history(const ChartSeries& series) {
  std::set<double> times;
  for (const ChartPoint& point : series.points) times.insert(point.x);
  return times.size() >= kLeastTimes;
}

Chart chart_of(HistoryColumn& column) {
  Chart chart{.title = column.title,
              .description =
                  "Every measurement of the database by the time it started (UTC), bars ± one standard "
                  "error of the measurement."};
  double first = HUGE_VAL, last = -HUGE_VAL;
  for (const std::string& key : column.order) {
    ChartSeries& series = column.series.at(key);
    if (!is_history(series)) continue;
    std::stable_sort(series.points.begin(), series.points.end(),
                     [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
    first = std::min(first, series.points.front().x);
    last = std::max(last, series.points.back().x);
    chart.series.push_back(std::move(series));
  }
  constexpr double kFewDays = 4 * 86400;
  chart.x = {.title = "started", .text = last - first > kFewDays ? day_of : minute_of};
  for (int tick = 0; tick < 5 && last > first; ++tick) chart.x.ticks.push_back(first + (last - first) * tick / 4);
  chart.y = {.title = std::string("value") + direction_arrow(column.direction)};
  return chart;
}

void mark(const HistoryChange& change, ChartPoint& point) {
  point.is_marked = true;
  point.note += change.kind == ChangeKind::kStep
                    ? fmt::format(", ALERT: another level from here on, {:+.1f} %", 100 * change.size)
                    : fmt::format(", ALERT: a drift begins here, {:+.1f} % from one to the next", 100 * change.size);
}

void add_level(size_t begin, size_t end, ChartSeries& series) {
  double sum = 0;
  for (size_t point = begin; point < end; ++point) sum += series.points[point].y;
  series.levels.push_back({series.points[begin].x, series.points[end - 1].x, sum / static_cast<double>(end - begin)});
}

}  // namespace

void mark_changes(Chart& history) {
  for (ChartSeries& series : history.series) {
    std::vector<double> values;
    for (const ChartPoint& point : series.points) values.push_back(point.y);
    const std::vector<HistoryChange> changes = find_changes(values);
    size_t begin = 0;
    for (const HistoryChange& change : changes) {
      if (change.first >= series.points.size()) continue;
      mark(change, series.points[change.first]);
      if (change.kind != ChangeKind::kStep || change.first <= begin) continue;
      add_level(begin, change.first, series);
      begin = change.first;
    }
    if (begin > 0) add_level(begin, series.points.size(), series);
  }
}

std::vector<Chart> history_charts(const std::vector<RunRecord>& runs) {
  const std::vector<DescribedRun> described = describe_runs(runs);
  std::vector<Chart> charts;
  for (auto& [key, column] : collect(described)) {
    Chart chart = chart_of(column);
    if (has_points(chart)) charts.push_back(std::move(chart));
  }
  return charts;
}

}  // namespace moebench
