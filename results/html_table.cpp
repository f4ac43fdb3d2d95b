#include "results/html_table.h"

#include <cmath>

#include <fmt/format.h>

#include "results/csv_line.h"
#include "results/distinction.h"
#include "results/markup.h"
#include "results/number_format.h"
#include "results/table_legend.h"

namespace moebench {
namespace {

constexpr size_t kLongTitle = 20;
constexpr size_t kLongText = 28;  // bytes from which on a cell is cut by the page, and whole in its tooltip

std::string tag_of(const Row& row) {
  if (row.kind == RowKind::kBound) return " <span class=\"tag\">bound</span>";
  return row.kind == RowKind::kControl ? " <span class=\"tag\">control</span>" : "";
}

// The method, and below it in small what tells it from others.
std::string name_cell(const ShownTable& shown, size_t row_number, const std::string& anchor) {
  const Row& row = *shown.rows[row_number];
  std::string small = row.options;
  if (row.about.is_oracle()) small += (small.empty() ? "" : ", ") + std::string("oracle router");
  const std::string label = row_label(row), whole = shown.columns.front().cells[row_number].text;
  small += whole.substr(label.size()) + bracketed(row.distinction);  // " in bfloat16" behind the label, if anything
  return fmt::format("<th scope=\"row\" class=\"name\"><a href=\"#{}\">{}</a>{}{}</th>", anchor,
                     escape_markup(row.about.method), tag_of(row),
                     small.empty() ? "" : "<small>" + escape_markup(small) + "</small>");
}

// What stands in brackets behind a number, as a recipe does, goes below it.
std::string number_text(const std::string& text) {
  const size_t open = text.find(" (");
  if (open == std::string::npos) return escape_markup(text);
  return escape_markup(text.substr(0, open)) + " <small>" + escape_markup(text.substr(open + 1)) + "</small>";
}

std::string value_cell(const ShownColumn& column, const ShownCell& cell) {
  const std::string rank = cell.rank == Rank::kBest ? "best" : "";
  std::string text = column.is_number ? number_text(cell.text) : escape_markup(cell.text);
  if (cell.overlaps_calibration) text += std::string(" ") + kCalibrationMark;
  if (cell.overlaps_retraining) text += std::string(" ") + kRetrainingMark;
  if (cell.rank == Rank::kSecond) text = "<u>" + text + "</u>";
  if (!cell.note.empty()) text += " <small>" + escape_markup(cell.note) + "</small>";
  if (!column.is_number) {
    if (cell.text.size() <= kLongText) return "<td class=\"text\">" + text + "</td>";
    return fmt::format("<td class=\"text long\" title=\"{0}\">{0}</td>", text);
  }
  const std::string css = cell.is_failed ? "failed" : cell.value ? rank : "quiet";
  return fmt::format("<td{}{}>{}</td>", css.empty() ? "" : " class=\"" + css + "\"",
                     " data-v=\"" + (cell.value ? exact(*cell.value) : "") + "\"", text);
}

// Metric names may break behind a slash, and nowhere else.
std::string breakable(const std::string& text) {
  std::string html;
  for (const char byte : escape_markup(text)) html += byte == '/' ? std::string("/<wbr>") : std::string(1, byte);
  return html;
}

// Not on a line of its own.
const char* arrow_of(Direction direction) {
  if (direction == Direction::kLowerIsBetter) return "&nbsp;↓";
  return direction == Direction::kHigherIsBetter ? "&nbsp;↑" : "";
}

std::string heading(const ShownColumn& column, bool is_name) {
  // The first click shows the best first; of what is neither, the largest.
  const bool ascends = column.direction == Direction::kLowerIsBetter || !column.is_number;
  return fmt::format("<th scope=\"col\" class=\"{}{}\" data-first=\"{}\"><button type=\"button\">{}{}</button></th>",
                     column.is_number ? (column.title.size() > kLongTitle ? "wide" : "") : "text",
                     is_name ? " name" : "", ascends ? "ascending" : "descending", breakable(column.title),
                     arrow_of(column.direction));
}

}  // namespace

std::string html_comparison(const ShownTable& shown, const std::map<const Row*, std::string>& anchors) {
  std::string html =
      "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"comparison table\"><table class=\"sortable "
      "comparison\"><thead><tr>";
  for (const ShownColumn& column : shown.columns) html += heading(column, &column == &shown.columns.front());
  html += "</tr></thead>\n<tbody>\n";
  std::string group;
  for (size_t row = 0; row < shown.rows.size(); ++row) {
    if (std::string now = group_title(*shown.rows[row]); now != group) {
      group = std::move(now);
      html += fmt::format("<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"{}\"><span>{}</span></th></tr>\n",
                          shown.columns.size(), escape_markup(group));
    }
    const auto anchor = anchors.find(shown.rows[row]);
    html += "<tr>" + name_cell(shown, row, anchor == anchors.end() ? "" : anchor->second);
    for (size_t column = 1; column < shown.columns.size(); ++column) {
      html += value_cell(shown.columns[column], shown.columns[column].cells[row]);
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string html_data_table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows,
                            bool is_number) {
  std::string html = "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>";
  const auto cell = [&](const char* tag, size_t column, const std::string& text) {
    const bool is_text = column == 0 || !is_number;
    return fmt::format("<{0}{1}>{2}</{0}>", tag, is_text ? " class=\"text\"" : "", escape_markup(text));
  };
  for (size_t column = 0; column < header.size(); ++column) html += cell("th", column, header[column]);
  html += "</tr></thead><tbody>";
  for (const std::vector<std::string>& row : rows) {
    html += "<tr>";
    for (size_t column = 0; column < row.size(); ++column) html += cell("td", column, row[column]);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

}  // namespace moebench
