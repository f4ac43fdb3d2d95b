// The measurement behind DIVE's domain affinity: the dense model is pruned with the text of each domain, and every
// pruned model reads the text of all.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/converter.h"
#include "methods/fluctuation_pruning.h"

namespace moebench {

struct DomainPruning {
  FluctuationPruning pruning;
  int64_t num_kept = 0;          // neurons of every layer
  int64_t sample_tokens = 256;   // windows are cut into samples, each read by itself; a shorter rest is left out
  int64_t held_out_samples = 3;  // of each domain, its last ones: read, but not pruned with
};

// [N, N] double: perplexity of column j's held-out samples by the model pruned with the other samples of row i. One
// dense pass over all text, then N^2 * held_out_samples samples. Throws std::invalid_argument naming a domain that is
// too short. Deterministic.
at::Tensor domain_perplexities(const ConversionContext& context, const DomainPruning& settings);

}  // namespace moebench
