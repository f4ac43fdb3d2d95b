#include "results/cell_text.h"
#include "results/published_numbers.h"
#include "results/render.h"
#include "results/report_summary.h"
#include "results/shown_table.h"
#include "results/table_legend.h"
#include "results/terminal_table.h"

namespace moebench {
namespace {

TerminalMark mark_of(const Row& row, const ShownColumn& column, const ShownCell& cell) {
  if (cell.is_failed) return TerminalMark::kRed;
  if (cell.rank == Rank::kBest) return TerminalMark::kBold;
  if (cell.rank == Rank::kSecond) return TerminalMark::kUnderlined;
  return column.is_number && row.kind == RowKind::kBound ? TerminalMark::kFaint : TerminalMark::kNone;
}

// Without colour the best and second best need a sign that is a character.
std::string text_of(const ShownCell& cell, bool with_colour) {
  std::string text = cell.text;
  if (cell.overlaps_calibration) text += std::string(" ") + kCalibrationMark;
  if (cell.overlaps_retraining) text += std::string(" ") + kRetrainingMark;
  text += cell.note;
  if (!with_colour && cell.rank == Rank::kBest) text = "*" + text;
  if (!with_colour && cell.rank == Rank::kSecond) text = "+" + text;
  return text;
}

std::string table_of(ShownTable shown, const ReportOptions& options) {
  std::vector<TerminalColumn> columns;
  std::vector<std::string> headings;
  for (const Row* row : shown.rows) headings.push_back("· " + group_title(*row));
  for (ShownColumn& column : shown.columns) {
    TerminalColumn lines{{column.title + direction_arrow(column.direction)}, column.is_number, {}};
    lines.cells.reserve(column.cells.size());
    for (size_t row = 0; row < column.cells.size(); ++row) {
      lines.cells.push_back(
          {text_of(column.cells[row], options.with_colour), mark_of(*shown.rows[row], column, column.cells[row])});
    }
    columns.push_back(std::move(lines));
    std::vector<ShownCell>().swap(column.cells);
  }
  return one_line(shown.model) + "\n\n" + terminal_table(columns, options.width, options.with_colour, headings) + "\n";
}

std::string published_text(const ReportOptions& options) {
  std::vector<TerminalColumn> columns;
  for (const std::string& title : published_header()) {
    columns.push_back({{title}, title == "training tokens" || title == "published value", {}});
  }
  for (const std::vector<std::string>& row : published_rows()) {
    for (size_t column = 0; column < row.size(); ++column) columns[column].cells.push_back({row[column]});
  }
  return "\nPublished numbers, quoted\n\n" + terminal_table(columns, options.width, options.with_colour) + "\n" +
         wrapped(kPublishedSentence, options.width, "");
}

}  // namespace

std::string render_terminal(const Table& table, const ReportOptions& options) {
  if (table.rows.empty()) return "No runs to compare yet.\n";
  std::string text;
  const auto say = [&](const std::string& sentence, const std::string& indent = "") {
    text += wrapped(sentence, options.width, indent);
  };
  for (const std::string& sentence : summary_sentences(table)) say(sentence);
  text += text.empty() ? "" : "\n";
  for (ShownTable& shown : shown_tables(table)) text += table_of(std::move(shown), options);
  const TableLegend legend = table_legend(table);
  for (const std::string& sentence : legend.before) say(sentence);
  if (legend.has_ranks) {
    say(std::string(options.with_colour ? "Bold: best; underlined: second best " : "* best, + second best ") +
        kRankSentence);
  }
  for (const std::string& sentence : legend.marks) say(sentence);
  for (const std::string& fact : legend.facts) say("- " + fact, "  ");
  for (const std::string& warning : legend.warnings) say("- WARNING: " + warning, "  ");
  for (const std::string& failure : legend.failures) say("- FAILED: " + failure, "  ");
  if (options.with_published) text += published_text(options);
  if (!options.command.empty()) text += "\nMade by\n\n    " + one_line(options.command) + "\n";
  return text;
}

}  // namespace moebench
