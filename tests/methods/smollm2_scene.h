// SmolLM2-135M, the calibration windows and the test blocks of ../shared/golden/methods: what perplexities of whole
// conversions are compared on.
#pragma once

#include <memory>
#include <optional>

#include "harness/checkpoint/checkpoint.h"
#include "harness/converter.h"
#include "harness/evidence/calibration_text.h"
#include "tests/methods/golden_arrays.h"

namespace moebench {

class Smollm2Scene {
 public:
  // Nothing if the model or the reference outputs are not there; for GTEST_SKIP.
  static std::optional<Smollm2Scene> open();

  // On the stored eight windows of WikiText-2's validation text, in fp32.
  Conversion convert(const Converter& converter, const MoeShape& shape) const;
  // On WikiText-2's test text: exp of the mean over the first blocks of 2048 tokens of the mean negative log-likelihood
  // of 2047 targets.
  double perplexity(const Conversion& conversion, int64_t num_blocks) const;

  const Checkpoint& checkpoint() const { return *checkpoint_; }
  CalibrationText& calibration() { return calibration_; }

 private:
  Smollm2Scene(std::unique_ptr<Checkpoint> checkpoint, CalibrationText calibration, at::Tensor test_ids)
      : checkpoint_(std::move(checkpoint)), calibration_(std::move(calibration)), test_ids_(std::move(test_ids)) {}

  std::unique_ptr<Checkpoint> checkpoint_;
  CalibrationText calibration_;
  at::Tensor test_ids_;
};

}  // namespace moebench
