// The comparison table as text. A format more is a case in render() and a file beside these.
#pragma once

#include <string>

#include "results/result_store.h"
#include "results/table.h"

namespace moebench {

enum class ReportFormat { kMarkdown, kCsv, kJson };

// "markdown", "csv", "json". Throws std::invalid_argument naming these.
ReportFormat parse_report_format(const std::string& name);

struct ReportOptions {
  std::string command;  // that makes this report again; "" leaves it out
};

// All comparable runs of the store. The text is UTF-8 without control characters, whatever is in the database.
std::string render(const ResultStore& store, ReportFormat format, const ReportOptions& options);

// For people: a table for each model with the headline columns, then what the numbers mean.
std::string render_markdown(const Table& table, const ReportOptions& options);

// RFC 4180, tidy: one line for each row and column of the table, with all that a cell holds.
std::string render_csv(const Table& table);

// Schema "moebench/1": the table as it is. Numbers that JSON cannot write are "NaN", "Infinity" and "-Infinity".
std::string render_json(const Table& table, const ReportOptions& options);

}  // namespace moebench
