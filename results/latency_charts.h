// Time of a layer over the best dense one's against tokens in a call, as the task kernel_latency stores it.
#pragma once

#include <vector>

#include "results/chart.h"
#include "results/table.h"

namespace moebench {

// For each dense parent and setting of the task one chart: a line for each conversion with its interval, the dense line
// at 1, and marked where each becomes faster for good.
std::vector<Chart> latency_charts(const Table& table);

// What every such chart has around its series: axes from their points, and the dense line.
void set_latency_axes(Chart& chart);

}  // namespace moebench
