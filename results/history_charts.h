// The same measurement again and again: what changed from build to build.
#pragma once

#include <vector>

#include "results/chart.h"
#include "results/result_store.h"

namespace moebench {

// For each headline metric that some row has been measured for at three different times or more, a chart of value
// against time, a series for each row; builds and seeds apart in the notes. Ordered by metric.
std::vector<Chart> history_charts(const std::vector<RunRecord>& runs);

// Marks where a step or a drift of a series begins (find_changes), says so in the notes, and draws the levels between
// steps.
void mark_changes(Chart& history);

}  // namespace moebench
