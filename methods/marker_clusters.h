// CMoE's grouping of neurons whose activation markers agree.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "methods/activation_markers.h"

namespace moebench {

enum class MarkerDistance {
  kL1,  // the released code
  kL2,  // the paper
};

enum class ClusterAssignment {
  kTransportation,  // balanced_assignment
  kLapjv,           // jonker_volgenant_assignment: of many optima the released code's
};

// Distances of each neuron's marker column to each seed's, row-major [neurons, seeds], as whole numbers: exact for L1,
// in units of 2^-20 for L2.
std::vector<int64_t> marker_distances(const MarkerMatrix& markers, std::span<const int64_t> neurons,
                                      std::span<const int64_t> seeds, MarkerDistance distance);

// Clusters of equal size around the seeds with the least summed distance, each ascending. The released code's iteration
// limit is one: centroids are not moved and assigned to again.
// neurons: ascending, a multiple of the number of seeds.
std::vector<std::vector<int64_t>> cluster_by_markers(const MarkerMatrix& markers, std::span<const int64_t> neurons,
                                                     std::span<const int64_t> seeds, MarkerDistance distance,
                                                     ClusterAssignment assignment = ClusterAssignment::kTransportation);

// The neuron of the cluster whose marker column is nearest to the cluster's mean column (L1); the first of equals.
int64_t representative(const MarkerMatrix& markers, std::span<const int64_t> cluster);

}  // namespace moebench
