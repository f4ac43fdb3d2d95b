// The comparison table as text. A format more is a case in render() and a file beside these.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "results/chart.h"
#include "results/result_store.h"
#include "results/table.h"

namespace moebench {

enum class ReportFormat { kMarkdown, kTerminal, kHtml, kLatex, kCsv, kWideCsv, kJson };

// "markdown", "terminal", "html", "latex", "csv", "csv-wide", "json". Throws std::invalid_argument naming these.
ReportFormat parse_report_format(const std::string& name);

struct ReportOptions {
  std::string command;          // that makes this report again; "" leaves it out
  size_t width = 0;             // of the terminal, in columns; 0 = as wide as the table is
  bool with_colour = false;     // of the terminal: ANSI escapes
  bool with_published = false;  // also numbers that papers publish, apart and marked; not in csv, which has no marks
};

// Takes a text piece by piece.
using TextSink = std::function<void(std::string_view)>;

// All comparable runs of the store. The text is UTF-8 without control characters (but the terminal's own), whatever is
// in the database. Throws std::invalid_argument for published numbers in csv.
void render(const ResultStore& store, ReportFormat format, const ReportOptions& options, const TextSink& write);

// For people: a table for each model with the headline columns, then what the numbers mean.
std::string render_markdown(const Table& table, const ReportOptions& options);
std::string render_terminal(const Table& table, const ReportOptions& options);

// A booktabs table for each model, to \input into a paper.
std::string render_latex(const Table& table, const ReportOptions& options);

// One page that needs nothing else: a summary, the tables (sortable), figures with their numbers, and where every
// number comes from. runs: those that the table was made of, with metrics or without; history: history_charts of them.
void render_html(const Table& table, std::vector<RunRecord> runs, const std::vector<Chart>& history,
                 const ReportOptions& options, const TextSink& write);

// RFC 4180, tidy: one line for each row and column of the table, with all that a cell holds.
void render_csv(const Table& table, const TextSink& write);

// RFC 4180, wide: one line for each row, two fields for each column.
std::string render_wide_csv(const Table& table);

// Schema "moebench/1": the table as it is. Numbers that JSON cannot write are "NaN", "Infinity" and "-Infinity".
void render_json(const Table& table, const ReportOptions& options, const TextSink& write);

}  // namespace moebench
