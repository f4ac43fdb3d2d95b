// The picture of a latency sweep: time over the best dense against tokens in a call.
#pragma once

#include <string>
#include <vector>

#include "kernels/timing/ffn_latency.h"

namespace moebench {

// One SVG file that needs nothing else and follows the reader's light or dark theme: a line for each mixture by
// `variant`, with its interval, the dense line at 1, and where each becomes FASTER for good. rows: as
// measure_ffn_latency returns them.
std::string latency_figure(const std::vector<kernels::LatencyRow>& rows, const std::string& variant,
                           const std::string& title);

}  // namespace moebench
