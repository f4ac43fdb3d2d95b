// Which samples of the calibration text each of DIVE's experts is pruned with.
#pragma once

#include <cstdint>
#include <vector>

#include "harness/evidence/calibration_text.h"

namespace moebench {

// Samples of every domain: each window is cut into pieces of sample_tokens, the last of which may be shorter.
std::vector<int64_t> count_samples(const CalibrationText& text, int64_t sample_tokens);

// Per sample of the text, in its order, the experts that it prunes.
using ExpertsOfSample = std::vector<std::vector<int64_t>>;

// Expert e gets all samples of the domains in clusters[e], which are disjoint and cover all.
ExpertsOfSample samples_of_clusters(const std::vector<std::vector<int64_t>>& clusters,
                                    const std::vector<int64_t>& num_samples);

// Each expert gets different random samples of all num_samples: its share of them, but at least fewest where there are
// so many. Drawn anew for each, so two experts may get the same one.
ExpertsOfSample random_mixtures(int64_t num_samples, int64_t num_experts, int64_t fewest, uint64_t seed);

}  // namespace moebench
