#include "results/shown_table.h"

#include <algorithm>
#include <set>

#include "results/cell_text.h"
#include "results/distinction.h"
#include "results/number_format.h"
#include "results/ranking.h"

namespace moebench {
namespace {

constexpr size_t kShownReason = 40;  // bytes of why a cell failed; all of it is listed below the table

using Rows = std::vector<const Row*>;

std::string shortened(const std::string& reason) {
  if (reason.size() <= kShownReason) return reason;
  const size_t space = reason.rfind(' ', kShownReason);
  size_t end = space == std::string::npos || space == 0 ? kShownReason : space;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xc0) == 0x80) --end;  // not within a character
  return reason.substr(0, end) + " …";
}

std::string seeds_note(const Row& row, const Cell& cell) {
  const std::string of_all = " of " + std::to_string(row.seeds.size()) + " seeds";
  if (!cell.seeds->failed.empty()) return " (" + std::to_string(cell.seeds->failed.size()) + of_all + " failed)";
  return cell.seeds->measured.size() < row.seeds.size()
             ? " (" + std::to_string(cell.seeds->measured.size()) + of_all + ")"
             : "";
}

// already_said: the row's reasons that a cell to the left has told.
ShownCell shown_cell(const Row& row, const Column& column, const Cell& cell, std::set<std::string>& already_said) {
  switch (cell.status) {
    case CellStatus::kNotRun:
      return {.text = "not run"};
    case CellStatus::kNotApplicable:
      return {.text = "–"};
    case CellStatus::kFailed:
      return {.text = already_said.insert(cell.seeds->reason).second ? "FAILED: " + shortened(cell.seeds->reason)
                                                                     : "FAILED",
              .is_failed = true};
    case CellStatus::kValue:
      break;
  }
  return {.text = shown_value(column, cell),
          .rank = cell.rank,
          .overlaps_calibration = cell.overlaps_calibration,
          .overlaps_retraining = cell.overlaps_retraining,
          .note = seeds_note(row, cell),
          .value = cell.value};
}

ShownColumn plain_column(const std::string& title, bool is_number, const Rows& rows, auto&& cell_of) {
  ShownColumn column{.title = title, .is_number = is_number};
  column.cells.reserve(rows.size());
  for (const Row* row : rows) column.cells.push_back(cell_of(*row));
  return column;
}

ShownCell number_or_dash(bool is_known, double value, const std::string& text) {
  return is_known ? ShownCell{.text = text, .value = value} : ShownCell{.text = "–"};
}

ShownColumn ratio_column(const Rows& rows, size_t index) {
  return plain_column("× dense", true, rows, [&](const Row& row) {
    const std::optional<double>& ratio = row.cells[index].ratio_to_dense;
    return number_or_dash(ratio.has_value(), ratio.value_or(0), format_number(ratio.value_or(0)));
  });
}

bool has_ratio(const Column& column, const Rows& rows, size_t index) {
  return column.direction != Direction::kNeither && !column.task.empty() &&
         std::any_of(rows.begin(), rows.end(),
                     [&](const Row* row) { return row->cells[index].ratio_to_dense.has_value(); });
}

void add_names(const Table& table, ShownTable& shown) {
  shown.columns.push_back(plain_column("method", false, shown.rows, [&](const Row& row) {
    return ShownCell{.text = row_label(row) + (table.dtypes.size() > 1 ? " in " + row.about.dtype : "")};
  }));
  shown.columns.push_back(
      plain_column("shape", false, shown.rows, [](const Row& row) { return ShownCell{.text = row.about.shape}; }));
  shown.columns.push_back(plain_column("active FFN", true, shown.rows, [&](const Row& row) {
    const double share = active_share(table, row);
    return number_or_dash(share > 0, share, format_percent(share));
  }));
}

void add_measurements(const Table& table, ShownTable& shown) {
  std::vector<std::set<std::string>> already_said(shown.rows.size());
  for (size_t index = 0; index < table.columns.size(); ++index) {
    const Column& column = table.columns[index];
    if (!column.is_headline || column.metric == "active_ffn_share") continue;
    size_t row_number = 0;
    shown.columns.push_back(plain_column(shown_title(column), true, shown.rows, [&](const Row& row) {
      return shown_cell(row, column, row.cells[index], already_said[row_number++]);
    }));
    // Of conversion and parameters it goes without saying which way is better.
    if (!column.task.empty()) shown.columns.back().direction = column.direction;
    if (has_ratio(column, shown.rows, index)) shown.columns.push_back(ratio_column(shown.rows, index));
  }
}

void add_cost(ShownTable& shown) {
  shown.columns.push_back(plain_column("calibration tokens", true, shown.rows, [](const Row& row) {
    const int64_t tokens = row.about.calibration ? row.about.calibration->tokens : 0;
    return number_or_dash(row.about.calibration.has_value(), static_cast<double>(tokens), std::to_string(tokens));
  }));
  shown.columns.push_back(plain_column("calibration text", false, shown.rows, [](const Row& row) {
    return ShownCell{.text = row.about.calibration ? join(row.about.calibration->texts, ", ") : "–"};
  }));
  shown.columns.push_back(plain_column("retraining tokens", true, shown.rows, [](const Row& row) {
    const std::string& recipe = row.about.retrain_recipe;
    return ShownCell{.text = std::to_string(row.about.retrained_tokens) + (recipe.empty() ? "" : " (" + recipe + ")"),
                     .value = static_cast<double>(row.about.retrained_tokens)};
  }));
  shown.columns.push_back(plain_column("seeds", true, shown.rows, [](const Row& row) {
    return ShownCell{.text = std::to_string(row.seeds.size()), .value = static_cast<double>(row.seeds.size())};
  }));
}

}  // namespace

std::string shown_title(const Column& column) {
  if (column.metric == "activated_parameters/all") return "activated parameters";
  if (column.metric == "total_parameters") return "total parameters";
  if (column.metric == "conversion/seconds") return "conversion, s";
  if (column.metric == "conversion/peak_memory") return "peak memory";
  if (column.metric == "retraining/seconds") return "retraining, s";
  return column.metric + (column.detail.empty() ? "" : " (" + column.detail + ")") + bracketed(column.distinction);
}

std::string group_title(const Row& row) {
  if (row.kind == RowKind::kDense) return "Dense parent";
  const int64_t ratio = rounded_ratio(row);
  std::string text =
      ratio > 0 ? format_percent(static_cast<double>(ratio) / 1000) + " of the neurons active" : "No size";
  if (row.about.retrained_tokens == 0) return text + ", not retrained";
  return text + ", retrained on " + std::to_string(row.about.retrained_tokens) + " tokens";
}

double active_share(const Table& table, const Row& row) {
  for (size_t column = 0; column < table.columns.size(); ++column) {
    const bool is_share = table.columns[column].metric == "active_ffn_share";
    if (is_share && row.cells[column].status == CellStatus::kValue) return row.cells[column].value;
  }
  return row.about.active_ratio;
}

std::string shown_value(const Column& column, const Cell& cell) {
  if (column.unit == "parameters") return format_count(cell.value);
  if (column.unit == "bytes") return format_bytes(cell.value);
  return format_mean(cell.value, cell.standard_deviation);
}

const char* direction_arrow(Direction direction) {
  if (direction == Direction::kLowerIsBetter) return " ↓";
  return direction == Direction::kHigherIsBetter ? " ↑" : "";
}

std::vector<ShownTable> shown_tables(const Table& table) {
  std::vector<ShownTable> models;
  for (const Row& row : table.rows) {
    if (models.empty() || models.back().model != row.about.model) models.push_back({.model = row.about.model});
    models.back().rows.push_back(&row);
  }
  for (ShownTable& shown : models) {
    add_names(table, shown);
    add_measurements(table, shown);
    add_cost(shown);
  }
  return models;
}

}  // namespace moebench
