// How the rows of a table stand to the dense parent and to each other.
#pragma once

#include "results/table.h"

namespace moebench {

// The active ratio in thousandths: rows of the same number are of the same activated size.
int64_t rounded_ratio(const Row& row);

// Sets Cell::ratio_to_dense wherever the dense parent of the row has a value.
void compare_with_dense(Table& table);

// Sets Cell::rank: best and second best mean of those that show different numbers, where at least two rows of the same
// dense parent and active ratio compete. The dense parent and bounds do not, nor values that are not finite, nor means
// that lack a failed seed.
void rank_cells(Table& table);

}  // namespace moebench
