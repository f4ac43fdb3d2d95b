// The released CMoE code's way to a balanced assignment, for whom its very clusters matter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace moebench {

// What balanced_assignment finds, but of its many optima the one that lap.lapjv (0.5.13), which CMoE's released code
// calls, takes for the square problem in which every cluster stands as often as it has room: Jonker and Volgenant's
// algorithm (Computing 38, 1987) in lapjv's order. The square matrix is never made, but every one of
// its entries is looked at, at least once.
// costs: row-major [num_items, num_clusters], not negative and below 2^48; num_items must be a multiple of
// num_clusters. Returns each item's cluster.
std::vector<int64_t> jonker_volgenant_assignment(std::span<const int64_t> costs, int64_t num_clusters);

}  // namespace moebench
