// The softmax of attention, as its rows stand in a product's result.
#pragma once

#include <cstdint>

namespace moebench {

// row: scores of keys 0 to num_keys - 1 (a multiple of 16), of which those in [first, end) are seen. Puts exp(score -
// the highest seen) in the place of those and 0 in that of the others; returns the sum. What it computes of [first,
// end) does not depend on num_keys.
float exponentiate_row(float* row, int64_t num_keys, int64_t first, int64_t end);

}  // namespace moebench
