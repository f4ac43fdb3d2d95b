#include "results/quality_charts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string_view>

#include "results/distinction.h"
#include "results/number_format.h"
#include "results/ranking.h"
#include "results/shown_table.h"

namespace moebench {
namespace {

constexpr double kWideRange = 4;  // largest over smallest value from which on a logarithmic scale shows more

using Rows = std::vector<const Row*>;

bool has_value(const Row& row, size_t column) {
  return row.cells[column].status == CellStatus::kValue && std::isfinite(row.cells[column].value);
}

// "100 M" where format_count has "100.0 M".
std::string round_count(double count) {
  std::string text = format_count(count);
  const size_t end = std::min(text.find(' '), text.size()), dot = text.find('.');
  if (dot == std::string::npos || dot > end) return text;
  const size_t last = text.find_last_not_of('0', end - 1);
  return text.substr(0, last == dot ? dot : last + 1) + text.substr(end);
}

ChartPoint point_of(const Row& row, size_t column, double x) {
  const Cell& cell = row.cells[column];
  ChartPoint point{.x = x, .y = cell.value};
  if (cell.standard_deviation) {
    point.low = cell.value - *cell.standard_deviation;
    point.high = cell.value + *cell.standard_deviation;
  }
  point.note = row.about.shape;
  if (cell.seeds.size() > 1)
    point.note += (point.note.empty() ? "" : ", ") + std::to_string(cell.seeds.size()) + " seeds";
  return point;
}

Scale scale_of(const Chart& chart) {
  double least = HUGE_VAL, most = -HUGE_VAL;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      least = std::min(least, point.y);
      most = std::max(most, point.y);
    }
  }
  return least > 0 && most > kWideRange * least ? Scale::kLogarithmic : Scale::kLinear;
}

std::string axis_title(const Column& column) { return shown_title(column) + direction_arrow(column.direction); }

std::map<std::string, Rows> rows_by_parent(const Table& table) {
  std::map<std::string, Rows> parents;
  for (const Row& row : table.rows) parents[row.about.parent_key()].push_back(&row);
  return parents;
}

// In the order of the table, which a map by key would lose.
std::vector<Rows> parents_in_order(const Table& table) {
  std::map<std::string, Rows> parents = rows_by_parent(table);
  std::vector<Rows> ordered;
  for (const Row& row : table.rows) {
    const auto found = parents.find(row.about.parent_key());
    if (found == parents.end()) continue;
    ordered.push_back(std::move(found->second));
    parents.erase(found);
  }
  return ordered;
}

const Row* dense_of(const Rows& rows, size_t column) {
  const auto dense = std::find_if(rows.begin(), rows.end(), [&](const Row* row) {
    return row->kind == RowKind::kDense && has_value(*row, column);
  });
  return dense == rows.end() ? nullptr : *dense;
}

std::string title_of(const Table& table, const Rows& rows) {
  const RunDescription& about = rows.front()->about;
  return about.model + (table.dtypes.size() > 1 ? " in " + about.dtype : "");
}

// Where a row stands from left to right.
class Size {
 public:
  Size(const Table& table, const Rows& rows) : table_(table) {
    for (size_t column = 0; column < table.columns.size(); ++column) {
      const bool counts = table.columns[column].metric == "activated_parameters/all";
      const bool is_counted = counts && std::any_of(rows.begin(), rows.end(), [&](const Row* row) {
                                return has_value(*row, column) && row->kind != RowKind::kDense;
                              });
      if (is_counted) columns_.push_back(column);
    }
  }

  bool is_counted() const { return !columns_.empty(); }
  std::optional<double> of(const Row& row) const {
    for (const size_t column : columns_) {
      if (has_value(row, column)) return row.cells[column].value;
    }
    const double share = active_share(table_, row);
    return is_counted() || share <= 0 ? std::nullopt : std::optional(100 * share);
  }

 private:
  const Table& table_;
  std::vector<size_t> columns_;
};

// "llama_moe (split=random), oracle router": shorter than in the table, for beside a line there is little room.
std::string label_of(const Row& row) {
  std::string label = row.about.method + (row.options.empty() ? "" : " (" + row.options + ")");
  if (row.kind == RowKind::kBound) label += row.about.is_oracle() ? ", oracle router" : ", bound";
  return label + bracketed(row.distinction);
}

// Of each label a number, the same in all charts of a table.
std::map<std::string, size_t> styles_of(const Table& table) {
  std::map<std::string, size_t> styles;
  for (const Row& row : table.rows) {
    if (row.kind != RowKind::kDense) styles.emplace(label_of(row), styles.size());
  }
  return styles;
}

class SeriesList {
 public:
  explicit SeriesList(const Table& table) : styles_(styles_of(table)) {}

  // suffix: of the label, for what the chart tells apart beyond it.
  ChartSeries& of(const Row& row, const std::string& suffix = "") {
    const std::string label = label_of(row) + suffix;
    const auto [found, is_new] = position_.emplace(label, series_.size());
    if (is_new) {
      series_.push_back({.label = label, .is_bound = row.kind == RowKind::kBound, .style = styles_.at(label_of(row))});
    }
    return series_[found->second];
  }
  std::vector<ChartSeries> take() {
    for (ChartSeries& series : series_) {
      std::stable_sort(series.points.begin(), series.points.end(),
                       [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
    }
    return std::move(series_);
  }

 private:
  std::map<std::string, size_t> styles_;
  std::vector<ChartSeries> series_;
  std::map<std::string, size_t> position_;
};

std::vector<ChartPoint> frontier_of(std::vector<ChartPoint> points, Direction direction) {
  std::stable_sort(points.begin(), points.end(), [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
  std::vector<ChartPoint> frontier;
  for (const ChartPoint& point : points) {
    const bool is_better = frontier.empty() || (direction == Direction::kLowerIsBetter ? point.y < frontier.back().y
                                                                                       : point.y > frontier.back().y);
    if (!is_better) continue;
    if (!frontier.empty() && frontier.back().x == point.x) frontier.pop_back();
    frontier.push_back(point);
  }
  return frontier;
}

Chart pareto_chart(const Table& table, const Rows& rows, size_t column, int64_t retrained_tokens) {
  const Size size(table, rows);
  SeriesList list(table);
  std::vector<ChartPoint> competing;
  Chart chart;
  for (const Row* row : rows) {
    const std::optional<double> x = size.of(*row);
    if (!has_value(*row, column) || !x) continue;
    if (row->kind == RowKind::kDense) {
      chart.horizontal.push_back({row->cells[column].value, "dense " + format_number(row->cells[column].value)});
      chart.vertical.push_back({*x, "dense"});
      competing.push_back(point_of(*row, column, *x));
      continue;
    }
    if (row->about.retrained_tokens != retrained_tokens) continue;
    ChartSeries& series = list.of(*row);
    series.points.push_back(point_of(*row, column, *x));
    if (!series.is_bound) competing.push_back(series.points.back());
  }
  chart.series = list.take();
  chart.frontier = frontier_of(competing, table.columns[column].direction);
  const std::string trained =
      retrained_tokens == 0 ? "not retrained" : "retrained on " + std::to_string(retrained_tokens) + " tokens";
  chart.title = title_of(table, rows) + ", " + trained + ": quality against what a token activates";
  chart.description =
      "Means over seeds, bars ± one sample standard deviation. Dashed: the dense parent. Grey steps: what no other "
      "method or control beats in both. Hollow: bounds, which compute every expert.";
  chart.x = size.is_counted() ? ChartAxis{.title = "activated parameters", .text = round_count}
                              : ChartAxis{.title = "active neurons of the feed-forward networks, %"};
  chart.y = {.title = axis_title(table.columns[column]), .scale = scale_of(chart)};
  return chart;
}

// "dense" retrained is what the text alone gives, whatever the size.
bool belongs(const Row& row, int64_t ratio) {
  return row.kind != RowKind::kDense && (rounded_ratio(row) == ratio || row.about.method == "dense");
}

Chart retraining_chart(const Table& table, const Rows& rows, size_t column, int64_t ratio) {
  SeriesList list(table);
  Chart chart;
  std::set<double> marks;
  for (const Row* row : rows) {
    if (!belongs(*row, ratio) || !has_value(*row, column)) continue;
    ChartSeries& series = list.of(*row, " " + row->about.shape);
    series.points.push_back(point_of(*row, column, static_cast<double>(row->about.retrained_tokens)));
  }
  for (ChartSeries& series : list.take()) {
    if (series.points.size() < 2) continue;
    for (const ChartPoint& point : series.points) marks.insert(point.x);
    chart.series.push_back(std::move(series));
  }
  if (const Row* dense = dense_of(rows, column)) {
    const double value = dense->cells[column].value;
    chart.horizontal.push_back({value, "dense " + format_number(value)});
  }
  chart.title = title_of(table, rows) + ", " + format_percent(static_cast<double>(ratio) / 1000) +
                " active: quality against retraining";
  chart.description =
      "Means over seeds, bars ± one sample standard deviation. Dashed: the dense parent, not retrained; dense "
      "retrained is what the text alone gives.";
  chart.x = {.title = "retraining tokens", .text = round_count, .ticks = {marks.begin(), marks.end()}};
  chart.y = {.title = axis_title(table.columns[column]), .scale = scale_of(chart)};
  return chart;
}

template <class Value, class Read>
std::vector<Value> distinct(const Rows& rows, const Read& read) {
  std::set<Value> values;
  for (const Row* row : rows) {
    if (row->kind != RowKind::kDense) values.insert(read(*row));
  }
  return {values.begin(), values.end()};
}

}  // namespace

std::vector<size_t> quality_columns(const Table& table) {
  constexpr std::array<std::string_view, 5> kOfCost = {"activated_parameters", "expert_load", "routing_overlap",
                                                       "kernel_latency", "end_to_end"};
  std::vector<size_t> columns;
  for (size_t index = 0; index < table.columns.size(); ++index) {
    const Column& column = table.columns[index];
    const bool is_cost = std::find(kOfCost.begin(), kOfCost.end(), column.task) != kOfCost.end();
    const bool has_task = !column.task.empty() && column.metric != column.task;
    if (has_task && !is_cost && column.is_headline && column.direction != Direction::kNeither) columns.push_back(index);
  }
  return columns;
}

std::vector<Chart> pareto_charts(const Table& table) {
  std::vector<Chart> charts;
  for (const Rows& rows : parents_in_order(table)) {
    const auto marks = distinct<int64_t>(rows, [](const Row& row) { return row.about.retrained_tokens; });
    for (const size_t column : quality_columns(table)) {
      for (const int64_t tokens : marks) {
        Chart chart = pareto_chart(table, rows, column, tokens);
        if (has_points(chart)) charts.push_back(std::move(chart));
      }
    }
  }
  return charts;
}

std::vector<Chart> retraining_charts(const Table& table) {
  std::vector<Chart> charts;
  for (const Rows& rows : parents_in_order(table)) {
    for (const size_t column : quality_columns(table)) {
      std::vector<int64_t> ratios = distinct<int64_t>(rows, [](const Row& row) { return rounded_ratio(row); });
      std::reverse(ratios.begin(), ratios.end());
      for (const int64_t ratio : ratios) {
        Chart chart = retraining_chart(table, rows, column, ratio);
        const bool is_of_dense_alone = std::all_of(chart.series.begin(), chart.series.end(), [](const auto& series) {
          return series.label.starts_with("dense ");
        });
        if (!is_of_dense_alone) charts.push_back(std::move(chart));
      }
    }
  }
  return charts;
}

}  // namespace moebench
