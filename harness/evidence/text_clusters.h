// Calibration text in a given number of clusters, one for each expert that a gradient split makes.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/evidence/calibration_text.h"

namespace moebench {

// Returns per cluster [num_windows, window] int64; every cluster has at least one window, and every token of the text
// is in one cluster. Deterministic.
// With at least num_clusters domains the domains are the clusters: domain d goes to cluster d modulo num_clusters.
// With fewer, windows are clustered by k-means on their mean token embedding, L2-normalised: our stand-in for the
// sentence embeddings (all-mpnet-base-v2) of LLaMA-MoE's released code. With fewer windows than clusters, all windows
// are first cut into as many equal pieces as that needs; a remainder of fewer than that many tokens is left out.
// Throws std::invalid_argument if pieces would have fewer than two tokens.
std::vector<at::Tensor> cluster_text(const Checkpoint& checkpoint, const CalibrationText& text, int64_t num_clusters,
                                     uint64_t seed);

}  // namespace moebench
