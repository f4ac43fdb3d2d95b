// One pass of the model over calibration text, layer by layer: each layer is loaded, shown to the observers chunk by
// chunk, converted and dropped. Peak memory is one layer plus the residual stream, so a 7B checkpoint converts in 24
// GB.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/checkpoint/checkpoint.h"
#include "harness/conversion.h"
#include "harness/converter.h"
#include "harness/evidence/calibration_text.h"
#include "harness/model/llama.h"

namespace moebench {

struct ConversionJob {
  const Converter* converter = nullptr;
  MoeShape shape;
  uint64_t seed = 0;
  nlohmann::json metadata;  // copied into the conversion's
};

struct EvidenceProgress {
  int64_t layers_done = 0, num_layers = 0;
  double fraction = 0;  // of the whole pass; windows through the current layer count
};

// Converts every job over the same text. Jobs with Propagation::kDense share one dense pass; each job with kConverted
// has a residual stream of its own. Jobs that need no text only have the layers shown to them. Each job's shape must
// have passed its converter's check_shape. Deterministic.
// metadata gains "shape", "seed", "seconds" {prepare, load, forward, observe, convert, finish} and "peak_memory_bytes"
// (the process's while converting; since its start where the kernel does not let that be reset). prepare, observe,
// convert and finish are the job's own; load and forward (attention, gate and up projections, the layers' output) are
// its pass's, which jobs may share. Throws std::invalid_argument if a job needs text and there is none, or for a token
// outside the vocabulary. progress is called after every window and every layer; what it throws ends the pass.
std::vector<Conversion> convert_all(const Checkpoint& checkpoint, const Precision& precision,
                                    const CalibrationText* text, const std::vector<ConversionJob>& jobs,
                                    const std::function<void(const EvidenceProgress&)>& progress = {});

}  // namespace moebench
