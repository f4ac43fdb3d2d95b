#include <algorithm>
#include <set>

#include "results/cell_text.h"
#include "results/distinction.h"
#include "results/markdown_legend.h"
#include "results/markdown_table.h"
#include "results/number_format.h"
#include "results/render.h"

namespace moebench {
namespace {

constexpr size_t kShownReason = 40;  // characters of why a cell failed; all of it is listed below the table

using Rows = std::vector<const Row*>;

std::string shortened(const std::string& reason) {
  if (reason.size() <= kShownReason) return reason;
  const size_t space = reason.rfind(' ', kShownReason);
  size_t end = space == std::string::npos || space == 0 ? kShownReason : space;
  while (end > 0 && (static_cast<unsigned char>(reason[end]) & 0xc0) == 0x80) --end;  // not within a character
  return reason.substr(0, end) + " …";
}

std::string value_text(const Column& column, const Cell& cell) {
  if (column.unit == "parameters") return format_count(cell.value);
  if (column.unit == "bytes") return format_bytes(cell.value);
  return format_mean(cell.value, cell.standard_deviation);
}

std::string seeds_note(const Row& row, const Cell& cell) {
  const std::string of_all = " of " + std::to_string(row.seeds.size()) + " seeds";
  if (!cell.failed_seeds.empty()) return " (" + std::to_string(cell.failed_seeds.size()) + of_all + " failed)";
  return cell.seeds.size() < row.seeds.size() ? " (" + std::to_string(cell.seeds.size()) + of_all + ")" : "";
}

std::string ranked(Rank rank, const std::string& text) {
  if (rank == Rank::kBest) return "**" + text + "**";
  return rank == Rank::kSecond ? "<ins>" + text + "</ins>" : text;
}

// already_said: the row's reasons that a cell to the left has told.
std::string cell_text(const Row& row, const Column& column, const Cell& cell, std::set<std::string>& already_said) {
  switch (cell.status) {
    case CellStatus::kNotRun:
      return "not run";
    case CellStatus::kNotApplicable:
      return "–";
    case CellStatus::kFailed:
      return already_said.insert(cell.reason).second ? "FAILED: " + escape_markdown(shortened(cell.reason)) : "FAILED";
    case CellStatus::kValue:
      break;
  }
  return ranked(cell.rank, value_text(column, cell)) + (cell.overlaps_calibration ? " †" : "") +
         (cell.overlaps_retraining ? " ‡" : "") + seeds_note(row, cell);
}

std::string title_of(const Column& column) {
  if (column.metric == "activated_parameters/all") return "activated parameters";
  if (column.metric == "total_parameters") return "total parameters";
  if (column.metric == "conversion/seconds") return "conversion, s";
  if (column.metric == "conversion/peak_memory") return "peak memory";
  if (column.metric == "retraining/seconds") return "retraining, s";
  std::string title = escape_markdown(column.metric);
  if (!column.detail.empty()) title += " (" + escape_markdown(column.detail) + ")";
  title += escape_markdown(bracketed(column.distinction));
  if (column.direction == Direction::kLowerIsBetter) title += " ↓";
  if (column.direction == Direction::kHigherIsBetter) title += " ↑";
  return title;
}

MarkdownColumn text_column(const std::string& title, bool is_number, const Rows& rows, auto&& text) {
  MarkdownColumn column{title, is_number, {}};
  for (const Row* row : rows) column.cells.push_back(text(*row));
  return column;
}

MarkdownColumn ratio_column(const Rows& rows, size_t index) {
  return text_column("× dense", true, rows, [&](const Row& row) {
    const Cell& cell = row.cells[index];
    return cell.ratio_to_dense ? format_number(*cell.ratio_to_dense) : std::string("–");
  });
}

bool has_ratio(const Column& column, const Rows& rows, size_t index) {
  return column.direction != Direction::kNeither && !column.task.empty() &&
         std::any_of(rows.begin(), rows.end(),
                     [&](const Row* row) { return row->cells[index].ratio_to_dense.has_value(); });
}

// The share that was measured, or else what the shape says.
double active_share(const Table& table, const Row& row) {
  for (size_t column = 0; column < table.columns.size(); ++column) {
    const bool is_share = table.columns[column].metric == "active_ffn_share";
    if (is_share && row.cells[column].status == CellStatus::kValue) return row.cells[column].value;
  }
  return row.about.active_ratio;
}

std::string share_text(double share) { return share > 0 ? format_percent(share) : "–"; }

void add_names(const Table& table, const Rows& rows, std::vector<MarkdownColumn>& columns) {
  columns.push_back(text_column("method", false, rows, [&](const Row& row) {
    return escape_markdown(row_label(row) + (table.dtypes.size() > 1 ? " in " + row.about.dtype : ""));
  }));
  columns.push_back(text_column("shape", false, rows, [](const Row& row) { return escape_markdown(row.about.shape); }));
  columns.push_back(
      text_column("active FFN", true, rows, [&](const Row& row) { return share_text(active_share(table, row)); }));
}

void add_measurements(const Table& table, const Rows& rows, std::vector<MarkdownColumn>& columns) {
  std::vector<std::set<std::string>> already_said(rows.size());
  for (size_t index = 0; index < table.columns.size(); ++index) {
    const Column& column = table.columns[index];
    if (!column.is_headline || column.metric == "active_ffn_share") continue;
    size_t row_number = 0;
    columns.push_back(text_column(title_of(column), true, rows, [&](const Row& row) {
      return cell_text(row, column, row.cells[index], already_said[row_number++]);
    }));
    if (has_ratio(column, rows, index)) columns.push_back(ratio_column(rows, index));
  }
}

void add_cost(const Rows& rows, std::vector<MarkdownColumn>& columns) {
  columns.push_back(text_column("calibration tokens", true, rows, [](const Row& row) {
    return row.about.calibration ? std::to_string(row.about.calibration->tokens) : std::string("–");
  }));
  columns.push_back(text_column("calibration text", false, rows, [](const Row& row) {
    return row.about.calibration ? escape_markdown(join(row.about.calibration->texts, ", ")) : std::string("–");
  }));
  columns.push_back(text_column("retraining tokens", true, rows, [](const Row& row) {
    const std::string& recipe = row.about.retrain_recipe;
    return std::to_string(row.about.retrained_tokens) + (recipe.empty() ? "" : " (" + escape_markdown(recipe) + ")");
  }));
  columns.push_back(text_column("seeds", true, rows, [](const Row& row) { return std::to_string(row.seeds.size()); }));
}

std::vector<Rows> rows_by_model(const Table& table) {
  std::vector<Rows> models;
  for (const Row& row : table.rows) {
    if (models.empty() || models.back().front()->about.model != row.about.model) models.emplace_back();
    models.back().push_back(&row);
  }
  return models;
}

}  // namespace

std::string render_markdown(const Table& table, const ReportOptions& options) {
  if (table.rows.empty()) return "No runs to compare yet.\n";
  std::string text;
  for (const Rows& rows : rows_by_model(table)) {
    std::vector<MarkdownColumn> columns;
    add_names(table, rows, columns);
    add_measurements(table, rows, columns);
    add_cost(rows, columns);
    text += "### " + escape_markdown(rows.front()->about.model) + "\n\n" + markdown_table(columns) + "\n";
  }
  return text + markdown_legend(table, options);
}

}  // namespace moebench
