#include <set>

#include <fmt/format.h>

#include "results/cell_text.h"
#include "results/latex_text.h"
#include "results/number_format.h"
#include "results/published_numbers.h"
#include "results/ranking.h"
#include "results/render.h"
#include "results/shown_table.h"
#include "results/table_legend.h"

namespace moebench {
namespace {

constexpr const char* kHead =
    "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}; UTF-8, as LaTeX is since 2018.\n";

constexpr std::string_view kRetrainingTitle = "retraining tokens";

// What a paper has no room for; it is in the legend of the other formats.
bool is_printed(const ShownColumn& column) { return column.title != "calibration text"; }

std::string ranked_latex(Rank rank, const std::string& text) {
  if (rank == Rank::kBest) return "\\textbf{" + text + "}";
  return rank == Rank::kSecond ? "\\underline{" + text + "}" : text;
}

// lines: LaTeX already, joined by \\\\.
// position: "t" stands on the first line, "b" on the last.
std::string stacked(const char* position, const ShownColumn& column, const std::string& lines) {
  return fmt::format("\\begin{{tabular}}[{}]{{@{{}}{}@{{}}}}{}\\end{{tabular}}", position, column.is_number ? "r" : "l",
                     lines);
}

// "static_pruning (criterion=flap, propagate=dense)": what stands in brackets in small lines below, for options of some
// methods are longer than a page is wide.
std::string name_text(const ShownColumn& column, const std::string& text) {
  const size_t open = text.find(" ("), close = text.find(')', std::min(open, text.size()));
  if (open == std::string::npos || close == std::string::npos) return escape_latex(text);
  std::string lines = escape_latex(text.substr(0, open) + text.substr(close + 1));
  const std::string inner = text.substr(open + 2, close - open - 2);
  for (size_t begin = 0; begin < inner.size();) {
    const size_t end = std::min(inner.find(", ", begin), inner.size());
    lines += "\\\\[-2pt]{\\scriptsize " + escape_latex(inner.substr(begin, end - begin)) + "}";
    begin = end + 2;
  }
  return stacked("t", column, lines);
}

// "46.21 ± 0.30" with the deviation as a subscript.
std::string value_text(const ShownCell& cell) {
  constexpr std::string_view kBetween = " ± ";
  const size_t between = cell.text.find(kBetween);
  if (!cell.value || between == std::string::npos) return ranked_latex(cell.rank, escape_latex(cell.text));
  return ranked_latex(cell.rank, escape_latex(cell.text.substr(0, between))) + "\\ensuremath{_{\\pm " +
         escape_latex(cell.text.substr(between + kBetween.size())) + "}}";
}

std::string cell_text(const ShownColumn& column, const ShownCell& cell) {
  // The recipe, which is mostly the same for all, is said below the table.
  if (column.title == kRetrainingTitle) return cell.text.substr(0, cell.text.find(' '));
  std::string text = column.title == "method" ? name_text(column, cell.text) : value_text(cell);
  if (cell.overlaps_calibration) text += "\\ensuremath{^\\dagger}";
  if (cell.overlaps_retraining) text += "\\ensuremath{^\\ddagger}";
  return text + escape_latex(cell.note);
}

std::string group_of(const Row& row) {
  return fmt::format("{} {} {}", row.kind == RowKind::kDense, rounded_ratio(row), row.about.retrained_tokens);
}

// A heading of two lines where it is long: metric names break at their slashes.
std::string heading(const ShownColumn& column) {
  std::string title;
  for (const char letter : column.title) title += letter == '/' ? std::string("/\n") : std::string(1, letter);
  std::string lines;
  for (size_t begin = 0; begin <= title.size();) {
    const size_t end = std::min(title.find('\n', begin), title.size());
    lines += (lines.empty() ? "" : "\\\\") + escape_latex(title.substr(begin, end - begin));
    begin = end + 1;
  }
  lines += escape_latex(direction_arrow(column.direction));
  if (title.find('\n') == std::string::npos) return lines;
  return stacked("b", column, lines);
}

std::string rows_of(const ShownTable& shown) {
  std::string text;
  for (size_t row = 0; row < shown.rows.size(); ++row) {
    if (row > 0 && group_of(*shown.rows[row]) != group_of(*shown.rows[row - 1])) text += "\\midrule\n";
    std::string line;
    for (const ShownColumn& column : shown.columns) {
      if (is_printed(column)) line += (line.empty() ? "" : " & ") + cell_text(column, column.cells[row]);
    }
    text += line + " \\\\\n";
  }
  return text;
}

std::string caption_of(const ShownTable& shown, const TableLegend& legend) {
  std::string text = escape_latex(shown.model + ". " + join(legend.before, " "));
  if (legend.has_ranks) {
    text += std::string(" \\textbf{Best} and \\underline{second best} ") + escape_latex(kRankSentence);
  }
  for (const std::string& sentence : legend.marks) text += " " + escape_latex(sentence);
  for (const std::string& warning : legend.warnings) text += " \\textbf{" + escape_latex(warning) + "}";
  return text;
}

// n, shots, options, machine: below the table, in small.
std::string facts_of(const ShownTable& shown, const TableLegend& legend) {
  std::string text = "\\par\\smallskip\\begin{minipage}{\\linewidth}\\footnotesize\\raggedright\n";
  std::set<std::string> recipes;
  for (const Row* row : shown.rows) {
    if (row->about.retrained_tokens == 0 || row->about.retrain_recipe.empty()) continue;
    recipes.insert("retrained by " + row->about.retrain_recipe + " on " + join(row->about.retrain_texts, ", "));
  }
  for (const std::string& recipe : recipes) text += escape_latex(recipe) + ".\\\\\n";
  for (const std::string& fact : legend.facts) text += escape_latex(fact) + ".\\\\\n";
  return text + "\\end{minipage}\n";
}

std::string table_of(const ShownTable& shown, const TableLegend& legend) {
  std::string alignment, titles;
  for (const ShownColumn& column : shown.columns) {
    if (!is_printed(column)) continue;
    alignment += column.is_number ? "r" : "l";
    titles += (titles.empty() ? "" : " & ") + heading(column);
  }
  return "\\begin{table}\n\\centering\n\\caption{" + caption_of(shown, legend) +
         "}\n\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n\\begin{tabular}{" + alignment +
         "}\n\\toprule\n" + titles + " \\\\\n\\midrule\n" + rows_of(shown) + "\\bottomrule\n\\end{tabular}}\n" +
         facts_of(shown, legend) + "\\end{table}\n";
}

std::string published_latex() {
  const auto line = [](const std::vector<std::string>& cells) {
    std::vector<std::string> escaped;
    for (const std::string& cell : cells) escaped.push_back(escape_latex(cell));
    return join(escaped, " & ") + " \\\\\n";
  };
  std::string text = "\\begin{table}\n\\centering\n\\caption{Published numbers. " + escape_latex(kPublishedSentence) +
                     "}\n\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n\\begin{tabular}{"
                     "lllrlrll}\n\\toprule\n" +
                     line(published_header()) + "\\midrule\n";
  for (const std::vector<std::string>& row : published_rows()) text += line(row);
  return text + "\\bottomrule\n\\end{tabular}}\n\\end{table}\n";
}

}  // namespace

std::string render_latex(const Table& table, const ReportOptions& options) {
  const TableLegend legend = table_legend(table);
  std::string text = kHead;
  if (!options.command.empty()) text += "% Made by: " + one_line(options.command) + "\n";
  if (table.rows.empty()) return text + "% No runs to compare yet.\n";
  for (const ShownTable& shown : shown_tables(table)) text += table_of(shown, legend);
  if (options.with_published) text += published_latex();
  for (const std::string& failure : legend.failures) text += "% failed: " + one_line(failure) + "\n";
  return text;
}

}  // namespace moebench
