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

// The smallest number of tokens from which on every verdict of that network and variant is FASTER; 0 if there is none.
int64_t break_even_tokens(const std::vector<kernels::LatencyRow>& rows, const std::string& network,
                          const std::string& variant);

}  // namespace moebench
