// What a reader must know to judge the table: what the marks mean, what was measured, what failed, who made it.
#pragma once

#include <string>

#include "results/render.h"
#include "results/table.h"

namespace moebench {

std::string markdown_legend(const Table& table, const ReportOptions& options);

}  // namespace moebench
