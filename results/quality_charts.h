// What a model is worth against what it costs: quality over activated parameters, and over retraining tokens.
#pragma once

#include <vector>

#include "results/chart.h"
#include "results/table.h"

namespace moebench {

// For each dense parent, quality column and number of retraining tokens one chart: a series for each method with its
// sizes, the dense parent as lines, and the frontier of those that compete. x: activated parameters, or the share of
// active neurons where nobody counted.
std::vector<Chart> pareto_charts(const Table& table);

// For each dense parent, quality column and active ratio one chart of all that was retrained.
std::vector<Chart> retraining_charts(const Table& table);

}  // namespace moebench
