// The dense model's own stream on the calibration text, beside that of the converted layers.
#pragma once

#include <cstdint>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/converter.h"

namespace moebench {

// Memory: one layer and one residual stream.
class TeacherStream {
 public:
  // context.checkpoint must outlive it.
  explicit TeacherStream(const ConversionContext& context);

  // The residual after this layer's feed-forward network, [window, hidden_size] of every window in the text's order.
  // Layers must be asked for once each, from the first on; throws std::logic_error else.
  const std::vector<at::Tensor>& after_layer(int64_t layer);

 private:
  const Checkpoint& checkpoint_;
  Precision precision_;
  std::vector<at::Tensor> residuals_;
  int64_t next_layer_ = 0;
};

}  // namespace moebench
