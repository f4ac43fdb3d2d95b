#include <fmt/format.h>

#include "results/cell_text.h"
#include "results/figures.h"
#include "results/html_page.h"
#include "results/html_provenance.h"
#include "results/html_table.h"
#include "results/markup.h"
#include "results/published_numbers.h"
#include "results/render.h"
#include "results/report_summary.h"
#include "results/shown_table.h"
#include "results/table_legend.h"

namespace moebench {
namespace {

std::string paragraph(const std::string& text, const char* css = "") {
  return fmt::format("<p{}>{}</p>\n", css[0] == '\0' ? "" : fmt::format(" class=\"{}\"", css), escape_markup(text));
}

std::string heading_of(const Table& table) {
  const std::vector<std::string> sentences = summary_sentences(table);
  std::string html = "<h1>Dense models as mixtures of experts</h1>\n<div class=\"summary\">\n";
  for (const std::string& sentence : sentences) html += paragraph(sentence);
  if (sentences.empty()) html += paragraph("Nothing in this database says yet how good a conversion is.");
  return html +
         "</div>\n<nav><a href=\"#comparison\">Comparison</a> <a href=\"#figures\">Figures</a> <a "
         "href=\"#provenance\">Where every number comes from</a></nav>\n";
}

std::string legend_of(const TableLegend& legend) {
  std::string html = "<div class=\"notes\">\n";
  for (const std::string& sentence : legend.before) html += paragraph(sentence);
  if (legend.has_ranks) html += fmt::format("<p><b>Best</b> and <u>second best</u> {}</p>\n", kRankSentence);
  for (const std::string& sentence : legend.marks) html += paragraph(sentence);
  html += "<ul>\n";
  for (const std::string& fact : legend.facts) html += "<li>" + escape_markup(fact) + "</li>\n";
  for (const std::string& warning : legend.warnings) {
    html += "<li class=\"warning\">" + escape_markup(warning) + "</li>\n";
  }
  html += "</ul>\n";
  if (!legend.failures.empty()) html += "<h3 class=\"warning\">Failed runs</h3><ul>\n";
  for (const std::string& failure : legend.failures) html += "<li>" + escape_markup(failure) + "</li>\n";
  return html + (legend.failures.empty() ? "" : "</ul>\n") + "</div>\n";
}

// The figures of a section often say the same below: once is enough.
std::string figure_of(const Figure& figure, bool with_description) {
  return fmt::format(
      "<figure id=\"{}\">\n<div class=\"picture\" tabindex=\"0\">{}</div>\n<figcaption>{}\n<details><summary>The "
      "numbers</summary>\n{}</details></figcaption>\n</figure>\n",
      figure.name, figure.svg, with_description ? escape_markup(figure.description) : "",
      html_data_table(figure.header, figure.rows));
}

std::string figures_of(const std::vector<FigureSection>& sections) {
  std::string html;
  for (const FigureSection& section : sections) {
    html += fmt::format("<h2{}>{}</h2>\n", &section == &sections.front() ? " id=\"figures\"" : "",
                        escape_markup(section.title));
    for (const Figure& figure : section.figures) {
      html += figure_of(
          figure, &figure == &section.figures.front() || figure.description != section.figures.front().description);
    }
    if (!section.note.empty()) html += paragraph(section.note, "quiet");
  }
  return html;
}

}  // namespace

void render_html(const Table& table, std::vector<RunRecord> runs, const std::vector<Chart>& history,
                 const ReportOptions& options, const TextSink& write) {
  const HtmlProvenance provenance = html_provenance(table, runs);
  std::vector<RunRecord>().swap(runs);  // of ten thousand, and a table of as many rows beside it, memory counts
  write(html_page_begin("moebench: dense models as mixtures of experts"));
  write(heading_of(table) + "<h2 id=\"comparison\">Comparison</h2>\n");
  if (table.rows.empty()) write(paragraph("No runs to compare yet."));
  for (const ShownTable& shown : shown_tables(table)) {
    write("<h3>" + escape_markup(shown.model) + "</h3>\n");
    write(html_comparison(shown, provenance.anchors));
  }
  write(legend_of(table_legend(table)) + figures_of(draw_figures(table, history)));
  if (options.with_published) {
    write("<h2>Published numbers, quoted</h2>\n" + paragraph(kPublishedSentence, "quiet") +
          html_data_table(published_header(), published_rows(), false));
  }
  write("<h2 id=\"provenance\">Where every number comes from</h2>\n" +
        paragraph("Of each row the commands that make its numbers again without this database, and the runs that "
                  "made them. Files and texts that a sweep got from --data are yours to give again.",
                  "quiet"));
  write(provenance.html);
  if (!options.command.empty()) {
    write(paragraph("This page was made by", "quiet") + "<pre>" + escape_markup(options.command) + "</pre>\n");
  }
  write(html_page_end());
}

}  // namespace moebench
