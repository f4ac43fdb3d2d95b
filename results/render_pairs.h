// A paired comparison as text, in some formats of a report.
#pragma once

#include <string>

#include "results/paired_table.h"
#include "results/render.h"

namespace moebench {

// "markdown", "csv", "json". Throws std::invalid_argument naming these.
ReportFormat parse_pairs_format(const std::string& name);

// Markdown: the table and what its numbers mean. CSV: a line for each row, with all that there is. JSON: schema
// "moebench/1". The text is UTF-8 without control characters, whatever is in the database.
// format: as parse_pairs_format gives it.
std::string render_pairs(const PairedTable& table, ReportFormat format, const ReportOptions& options);

}  // namespace moebench
