#include "results/quality_series.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "results/distinction.h"
#include "results/number_format.h"
#include "results/shown_table.h"

namespace moebench {
namespace {

constexpr double kWideRange = 4;  // largest over smallest value from which on a logarithmic scale shows more

// Shorter than in the table, for beside a line there is little room.
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

}  // namespace

std::vector<RowPointers> rows_by_parent(const Table& table) {
  std::vector<RowPointers> parents;
  std::map<std::string, size_t> position;
  for (const Row& row : table.rows) {
    const auto [found, is_new] = position.emplace(row.about.parent_key(), parents.size());
    if (is_new) parents.emplace_back();
    parents[found->second].push_back(&row);
  }
  return parents;
}

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

bool has_finite_value(const Row& row, size_t column) {
  return row.cells[column].status == CellStatus::kValue && std::isfinite(row.cells[column].value);
}

ChartPoint point_of(const Row& row, size_t column, double x) {
  const Cell& cell = row.cells[column];
  ChartPoint point{.x = x, .y = cell.value};
  if (cell.standard_deviation) {
    point.low = cell.value - *cell.standard_deviation;
    point.high = cell.value + *cell.standard_deviation;
  }
  point.note = row.about.shape;
  if (cell.seeds->measured.size() > 1)
    point.note += (point.note.empty() ? "" : ", ") + std::to_string(cell.seeds->measured.size()) + " seeds";
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

std::string parent_title(const Table& table, const RowPointers& rows) {
  const RunDescription& about = rows.front()->about;
  return about.model + (table.dtypes.size() > 1 ? " in " + about.dtype : "");
}

std::string axis_title(const Column& column) { return shown_title(column) + direction_arrow(column.direction); }

std::string round_count(double count) {
  std::string text = format_count(count);
  const size_t end = std::min(text.find(' '), text.size()), dot = text.find('.');
  if (dot == std::string::npos || dot > end) return text;
  const size_t last = text.find_last_not_of('0', end - 1);
  return text.substr(0, last == dot ? dot : last + 1) + text.substr(end);
}

SeriesList::SeriesList(const Table& table) : styles_(styles_of(table)) {}

ChartSeries& SeriesList::of(const Row& row, const std::string& suffix) {
  const std::string label = label_of(row) + suffix;
  const auto [found, is_new] = position_.emplace(label, series_.size());
  if (is_new) {
    series_.push_back({.label = label, .is_bound = row.kind == RowKind::kBound, .style = styles_.at(label_of(row))});
  }
  return series_[found->second];
}

std::vector<ChartSeries> SeriesList::take() {
  for (ChartSeries& series : series_) {
    std::stable_sort(series.points.begin(), series.points.end(),
                     [](const ChartPoint& a, const ChartPoint& b) { return a.x < b.x; });
  }
  return std::move(series_);
}

}  // namespace moebench
