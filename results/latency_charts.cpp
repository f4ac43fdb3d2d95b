#include "results/latency_charts.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <set>

#include "results/shown_table.h"

namespace moebench {
namespace {

constexpr std::string_view kTask = "kernel_latency/", kTokens = "/tokens-", kRatio = "/time_over_dense",
                           kBreakEven = "/break_even_tokens";

struct RatioColumns {
  std::optional<size_t> median, low, high;
};

// The columns of one setting of the task: "kernel_latency/float32" with its options.
struct LatencyColumns {
  std::string dtype;
  std::map<int64_t, RatioColumns> by_tokens;
  std::optional<size_t> break_even;
};

std::optional<int64_t> tokens_in(std::string_view name) {
  const size_t start = name.find(kTokens);
  if (start == std::string_view::npos) return std::nullopt;
  int64_t tokens = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + start + kTokens.size(), end, tokens);
  if (error != std::errc() || tokens < 1 || (rest != end && *rest != '/')) return std::nullopt;
  return tokens;
}

void add_column(const std::string& name, size_t index, LatencyColumns& columns) {
  columns.dtype = name.substr(kTask.size(), name.find('/', kTask.size()) - kTask.size());
  if (name.ends_with(kBreakEven)) columns.break_even = index;
  const std::optional<int64_t> tokens = tokens_in(name);
  const size_t ratio = name.find(kRatio);
  if (!tokens || ratio == std::string::npos) return;
  RatioColumns& found = columns.by_tokens[*tokens];
  const std::string end = name.substr(ratio + kRatio.size());
  if (end.empty()) found.median = index;
  if (end == "/low") found.low = index;
  if (end == "/high") found.high = index;
}

std::map<std::string, LatencyColumns> latency_columns(const Table& table) {
  std::map<std::string, LatencyColumns> settings;
  for (size_t index = 0; index < table.columns.size(); ++index) {
    const Column& column = table.columns[index];
    if (!column.metric.starts_with(kTask)) continue;
    const std::string dtype = column.metric.substr(0, column.metric.find('/', kTask.size()));
    add_column(column.metric, index, settings[dtype + column.task_options.dump() + column.identity.dump()]);
  }
  return settings;
}

std::optional<double> value_of(const Row& row, std::optional<size_t> column) {
  if (!column || row.cells[*column].status != CellStatus::kValue || !std::isfinite(row.cells[*column].value)) {
    return std::nullopt;
  }
  return row.cells[*column].value;
}

ChartSeries line_of(const Row& row, const LatencyColumns& columns) {
  ChartSeries series{.label = row_label(row) + " " + row.about.shape};
  // Over seeds a mean: the first count that is not below it is where all have broken even.
  std::optional<double> break_even = value_of(row, columns.break_even);
  for (const auto& [tokens, ratio] : columns.by_tokens) {
    const std::optional<double> median = value_of(row, ratio.median);
    if (!median) continue;
    ChartPoint point{.x = static_cast<double>(tokens),
                     .y = *median,
                     .low = value_of(row, ratio.low),
                     .high = value_of(row, ratio.high)};
    if (break_even && point.x >= *break_even) {
      point.is_marked = true;
      point.note = "faster from here on";
      break_even.reset();
    }
    series.points.push_back(std::move(point));
  }
  return series;
}

// Retraining changes no kernel: of a conversion the least retrained row.
Chart latency_chart(const std::vector<const Row*>& rows, const LatencyColumns& columns) {
  Chart chart;
  std::set<std::string> labels;
  for (const Row* row : rows) {
    ChartSeries series = line_of(*row, columns);
    if (series.points.empty() || !labels.insert(series.label).second) continue;
    chart.series.push_back(std::move(series));
  }
  chart.title = rows.front()->about.model + ", " + columns.dtype + ": feed-forward time over the best dense";
  chart.description =
      "One call of a layer, router included, on inputs that it really sees: median of paired ratios with its 95 % "
      "interval (means over seeds). Below 1 the mixture is faster; a ring marks from where on it is for good.";
  set_latency_axes(chart);
  return chart;
}

}  // namespace

void set_latency_axes(Chart& chart) {
  // A disturbed measurement's interval may be huge: the medians are what the picture is for.
  double most = 1;
  std::set<double> tokens;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      tokens.insert(point.x);
      most = std::max(most, point.y);
    }
  }
  chart.x = {.title = "tokens in a call", .scale = Scale::kLogarithmic, .ticks = {tokens.begin(), tokens.end()}};
  chart.y = {.title = "time / best dense", .least = 0, .most = 1.25 * most};
  chart.horizontal = {{1, "best dense"}};
}

std::vector<Chart> latency_charts(const Table& table) {
  std::map<std::string, std::vector<const Row*>> parents;
  for (const Row& row : table.rows) parents[row.about.parent_key()].push_back(&row);
  std::vector<Chart> charts;
  for (const auto& [setting, columns] : latency_columns(table)) {
    for (const auto& [parent, rows] : parents) {
      Chart chart = latency_chart(rows, columns);
      if (has_points(chart)) charts.push_back(std::move(chart));
    }
  }
  return charts;
}

}  // namespace moebench
