// Exact balanced assignment: what CMoE cuts experts of equal size with.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moebench {

// Shares items out to clusters of equal size so that the summed cost is smallest. The same optimum as the published
// code's square assignment problem with every cluster repeated, solved as a transportation problem.
// costs: row-major [num_items, num_clusters], not negative; num_items must be a multiple of num_clusters.
// Returns each item's cluster. Optima are often many; the same costs give the same one.
std::vector<int64_t> balanced_assignment(std::span<const int64_t> costs, int64_t num_clusters);

// Throws std::invalid_argument if the costs are not of items that share out evenly.
void check_assignment(std::span<const int64_t> costs, int64_t num_clusters);

}  // namespace moebench
