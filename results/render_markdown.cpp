#include "results/cell_text.h"
#include "results/markdown_table.h"
#include "results/published_numbers.h"
#include "results/render.h"
#include "results/shown_table.h"
#include "results/table_legend.h"

namespace moebench {
namespace {

std::string ranked_markdown(Rank rank, const std::string& text) {
  if (rank == Rank::kBest) return "**" + text + "**";
  return rank == Rank::kSecond ? "<ins>" + text + "</ins>" : text;
}

std::string cell_text(const ShownCell& cell) {
  std::string text = ranked_markdown(cell.rank, escape_markdown(cell.text));
  if (cell.overlaps_calibration) text += std::string(" ") + kCalibrationMark;
  if (cell.overlaps_retraining) text += std::string(" ") + kRetrainingMark;
  return text + cell.note;
}

std::string table_text(ShownTable shown) {
  std::vector<MarkdownColumn> columns;
  for (ShownColumn& column : shown.columns) {
    columns.push_back({escape_markdown(column.title) + direction_arrow(column.direction), column.is_number, {}});
    columns.back().cells.reserve(column.cells.size());
    for (const ShownCell& cell : column.cells) columns.back().cells.push_back(cell_text(cell));
    std::vector<ShownCell>().swap(column.cells);
  }
  return "### " + escape_markdown(shown.model) + "\n\n" + markdown_table(columns) + "\n";
}

std::string legend_text(const TableLegend& legend) {
  std::string text = join(legend.before, "\n") + "\n";
  if (legend.has_ranks) text += std::string("**Best** and <ins>second best</ins> ") + kRankSentence + "\n";
  for (const std::string& sentence : legend.marks) text += sentence + "\n";
  text += "\n";
  for (const std::string& fact : legend.facts) text += "- " + escape_markdown(fact) + "\n";
  for (const std::string& warning : legend.warnings) text += "- **" + escape_markdown(warning) + "**\n";
  if (!legend.failures.empty()) text += "\nFailed runs:\n\n";
  for (const std::string& failure : legend.failures) text += "- " + escape_markdown(failure) + "\n";
  return text;
}

std::string published_markdown() {
  std::vector<MarkdownColumn> columns;
  for (const std::string& title : published_header()) {
    columns.push_back({title, title == "training tokens" || title == "published value", {}});
  }
  for (const std::vector<std::string>& row : published_rows()) {
    for (size_t column = 0; column < row.size(); ++column)
      columns[column].cells.push_back(escape_markdown(row[column]));
  }
  return "\n### Published numbers, quoted\n\n" + markdown_table(columns) + "\n" + kPublishedSentence + "\n";
}

}  // namespace

std::string render_markdown(const Table& table, const ReportOptions& options) {
  if (table.rows.empty()) return "No runs to compare yet.\n";
  std::string text;
  for (ShownTable& shown : shown_tables(table)) text += table_text(std::move(shown));
  text += legend_text(table_legend(table));
  if (options.with_published) text += published_markdown();
  // An indented block shows any command as it is.
  if (!options.command.empty()) text += "\nMade by\n\n    " + one_line(options.command) + "\n";
  return text;
}

}  // namespace moebench
