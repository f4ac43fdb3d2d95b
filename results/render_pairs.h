// A paired comparison as text, in the formats of a report.
#pragma once

#include <string>

#include "results/paired_table.h"
#include "results/render.h"

namespace moebench {

// Markdown: the table and what its numbers mean. CSV: a line for each row, with all that there is. JSON: schema
// "moebench/1". The text is UTF-8 without control characters, whatever is in the database.
std::string render_pairs(const PairedTable& table, ReportFormat format, const ReportOptions& options);

}  // namespace moebench
