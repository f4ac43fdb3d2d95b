#include "results/report_summary.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "results/number_format.h"
#include "results/quality_series.h"
#include "results/ranking.h"
#include "results/shown_table.h"

namespace moebench {
namespace {

constexpr size_t kMostSentences = 6;  // of one parent

bool has_value(const Row& row, size_t column) {
  const Cell& cell = row.cells[column];
  return cell.status == CellStatus::kValue && std::isfinite(cell.value) && cell.seeds->failed.empty();
}

// The best of those that meet the condition; null if there is none.
const Row* best_of(const RowPointers& rows, size_t column, Direction direction, auto&& condition) {
  const Row* best = nullptr;
  for (const Row* row : rows) {
    if (!has_value(*row, column) || !condition(*row)) continue;
    const bool is_better = best == nullptr || (direction == Direction::kLowerIsBetter
                                                   ? row->cells[column].value < best->cells[column].value
                                                   : row->cells[column].value > best->cells[column].value);
    if (is_better) best = row;
  }
  return best;
}

std::string value_text(const Row& row, size_t column) {
  return format_mean(row.cells[column].value, row.cells[column].standard_deviation);
}

std::string retraining_text(const Row& row) {
  return row.about.retrained_tokens == 0 ? "without retraining"
                                         : fmt::format("retrained on {} tokens", row.about.retrained_tokens);
}

// ", behind static_pruning at 27.63": how the best method stands to the best control of its size and retraining.
std::string beside_control(const RowPointers& rows, const Row& method, const Column& column, size_t index) {
  const Row* control = best_of(rows, index, column.direction, [&](const Row& row) {
    return row.kind == RowKind::kControl && rounded_ratio(row) == rounded_ratio(method) &&
           row.about.retrained_tokens == method.about.retrained_tokens;
  });
  if (control == nullptr) return "; no control of that size was measured";
  const std::string theirs = format_number(control->cells[index].value);
  const bool is_tied = format_number(method.cells[index].value) == theirs;
  const bool is_lower = method.cells[index].value < control->cells[index].value;
  const bool is_ahead = is_lower == (column.direction == Direction::kLowerIsBetter);
  return fmt::format(", {} {} at {}",
                     is_tied    ? "level with"
                     : is_ahead ? "ahead of"
                                : "behind",
                     row_label(*control), theirs);
}

// The time of one token in a call, where that was measured; else "".
std::string time_text(const Table& table, const Row& method) {
  for (size_t index = 0; index < table.columns.size(); ++index) {
    const Column& column = table.columns[index];
    const bool is_ratio = column.task == "kernel_latency" && column.metric.ends_with("/tokens-1/time_over_dense");
    if (is_ratio && has_value(method, index)) {
      return fmt::format(" A layer of it takes {} of the best dense one's time at one token in a call.",
                         format_number(method.cells[index].value));
    }
  }
  return "";
}

std::string sentence(const Table& table, const RowPointers& rows, size_t index, int64_t ratio,
                     int64_t retrained_tokens) {
  const Column& column = table.columns[index];
  const Row* method = best_of(rows, index, column.direction, [&](const Row& row) {
    return row.kind == RowKind::kMethod && rounded_ratio(row) == ratio &&
           row.about.retrained_tokens == retrained_tokens;
  });
  if (method == nullptr) return "";
  const std::optional<double>& to_dense = method->cells[index].ratio_to_dense;
  return fmt::format("With {} of the neurons active, {} {} does best of the methods: {}{}{}.{}",
                     format_percent(static_cast<double>(ratio) / 1000), row_label(*method), retraining_text(*method),
                     value_text(*method, index),
                     to_dense ? fmt::format(", {} times dense's", format_number(*to_dense)) : std::string(),
                     beside_control(rows, *method, column, index), time_text(table, *method));
}

std::string introduction(const RowPointers& rows, const Column& column, size_t index) {
  std::set<std::string> methods;
  for (const Row* row : rows) {
    if (row->kind == RowKind::kMethod) methods.insert(row->about.method);
  }
  const Row* dense = best_of(rows, index, column.direction, [](const Row& row) { return row.kind == RowKind::kDense; });
  return fmt::format("{} in {}: {} {} compared by {}, where {} is better and {}.", rows.front()->about.model,
                     rows.front()->about.dtype, methods.size(), methods.size() == 1 ? "method" : "methods",
                     shown_title(column), column.direction == Direction::kLowerIsBetter ? "less" : "more",
                     dense ? "the dense parent has " + value_text(*dense, index) : "the dense parent was not measured");
}

}  // namespace

std::vector<std::string> summary_sentences(const Table& table) {
  const std::vector<size_t> columns = quality_columns(table);
  std::vector<std::string> sentences;
  for (const RowPointers& rows : rows_by_parent(table)) {
    const auto measured = std::find_if(columns.begin(), columns.end(), [&](size_t column) {
      return std::any_of(rows.begin(), rows.end(), [&](const Row* row) { return has_value(*row, column); });
    });
    if (measured == columns.end()) continue;
    sentences.push_back(introduction(rows, table.columns[*measured], *measured));
    std::set<std::pair<int64_t, int64_t>> groups;  // the largest ratio first, the least retrained first
    for (const Row* row : rows) groups.insert({-rounded_ratio(*row), row->about.retrained_tokens});
    size_t told = 0;
    for (const auto& [ratio, tokens] : groups) {
      const std::string text = sentence(table, rows, *measured, -ratio, tokens);
      if (text.empty() || told++ >= kMostSentences) continue;
      sentences.push_back(text);
    }
  }
  return sentences;
}

}  // namespace moebench
