// Conversions of the tiny checkpoint that need no method: its 96 neurons cut in order.
#pragma once

#include "harness/conversion.h"

namespace moebench {

// S1A2E4 in every layer: neurons 0-23 shared, three routed experts of 24, two visited. The router ranks the experts by
// their bias alone: bias[e] decides, whatever the token.
Conversion biased_conversion(const std::vector<float>& bias);

// The same experts behind a router that looks at the token: expert e wins where hidden unit e is largest.
Conversion token_dependent_conversion();

// Two routed experts of 10 and 86 neurons, one visited; the router as biased_conversion's.
Conversion unequal_conversion(const std::vector<float>& bias);

// The first `neurons` neurons stay, nothing is routed.
Conversion static_conversion(int64_t neurons);

}  // namespace moebench
