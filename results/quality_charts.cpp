#include "results/quality_charts.h"

#include <algorithm>
#include <set>

#include "results/number_format.h"
#include "results/quality_series.h"
#include "results/ranking.h"
#include "results/shown_table.h"

namespace moebench {
namespace {

// Where a row stands from left to right.
class Size {
 public:
  Size(const Table& table, const RowPointers& rows) : table_(table) {
    for (size_t column = 0; column < table.columns.size(); ++column) {
      const bool counts = table.columns[column].metric == "activated_parameters/all";
      const bool is_counted = counts && std::any_of(rows.begin(), rows.end(), [&](const Row* row) {
                                return has_finite_value(*row, column) && row->kind != RowKind::kDense;
                              });
      if (is_counted) columns_.push_back(column);
    }
  }

  bool is_counted() const { return !columns_.empty(); }
  std::optional<double> of(const Row& row) const {
    for (const size_t column : columns_) {
      if (has_finite_value(row, column)) return row.cells[column].value;
    }
    const double share = active_share(table_, row);
    return is_counted() || share <= 0 ? std::nullopt : std::optional(100 * share);
  }

 private:
  const Table& table_;
  std::vector<size_t> columns_;
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

Chart pareto_chart(const Table& table, const RowPointers& rows, size_t column, int64_t retrained_tokens) {
  const Size size(table, rows);
  SeriesList list(table);
  std::vector<ChartPoint> competing;
  Chart chart;
  for (const Row* row : rows) {
    const std::optional<double> x = size.of(*row);
    if (!has_finite_value(*row, column) || !x) continue;
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
  chart.title = parent_title(table, rows) + ", " + trained + ": quality against what a token activates";
  chart.description =
      "Means over seeds, bars ± one sample standard deviation. Dashed: the dense parent. Grey steps: what no other "
      "method or control beats in both. Hollow: bounds, which compute every expert.";
  chart.x = size.is_counted() ? ChartAxis{.title = "activated parameters", .text = round_count}
                              : ChartAxis{.title = "active neurons of the feed-forward networks, %"};
  chart.y = {.title = axis_title(table.columns[column]), .scale = scale_of(chart)};
  return chart;
}

const Row* dense_of(const RowPointers& rows, size_t column) {
  const auto dense = std::find_if(rows.begin(), rows.end(), [&](const Row* row) {
    return row->kind == RowKind::kDense && has_finite_value(*row, column);
  });
  return dense == rows.end() ? nullptr : *dense;
}

// "dense" retrained is what the text alone gives, whatever the size.
bool belongs(const Row& row, int64_t ratio) {
  return row.kind != RowKind::kDense && (rounded_ratio(row) == ratio || row.about.method == "dense");
}

Chart retraining_chart(const Table& table, const RowPointers& rows, size_t column, int64_t ratio) {
  SeriesList list(table);
  Chart chart;
  std::set<double> marks;
  for (const Row* row : rows) {
    if (!belongs(*row, ratio) || !has_finite_value(*row, column)) continue;
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
  chart.title = parent_title(table, rows) + ", " + format_percent(static_cast<double>(ratio) / 1000) +
                " active: quality against retraining";
  chart.description =
      "Means over seeds, bars ± one sample standard deviation. Dashed: the dense parent, not retrained; dense "
      "retrained is what the text alone gives.";
  chart.x = {.title = "retraining tokens", .text = round_count, .ticks = {marks.begin(), marks.end()}};
  chart.y = {.title = axis_title(table.columns[column]), .scale = scale_of(chart)};
  return chart;
}

template <class Value, class Read>
std::vector<Value> distinct(const RowPointers& rows, const Read& read) {
  std::set<Value> values;
  for (const Row* row : rows) {
    if (row->kind != RowKind::kDense) values.insert(read(*row));
  }
  return {values.begin(), values.end()};
}

}  // namespace

std::vector<Chart> pareto_charts(const Table& table) {
  std::vector<Chart> charts;
  for (const RowPointers& rows : rows_by_parent(table)) {
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
  for (const RowPointers& rows : rows_by_parent(table)) {
    const bool any_retrained =
        std::any_of(rows.begin(), rows.end(), [](const Row* row) { return row->about.retrained_tokens > 0; });
    if (!any_retrained) continue;
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
