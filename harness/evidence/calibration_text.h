// Calibration windows out of texts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

namespace moebench {

struct CalibrationText {
  std::vector<std::string> domains;  // names, one a window set
  std::vector<at::Tensor> windows;   // per domain, [num_windows, window] int64
  std::string content_hash;          // of ids and domain names
};

struct CalibrationStream {
  std::string domain;  // the text's name
  at::Tensor ids;      // [num_tokens] int64
};

// num_windows random windows of every stream, drawn by seed (random_windows in harness/text/corpus.h), with the content
// hash that CalibrationText asks for. Throws std::invalid_argument naming a text that is too short.
CalibrationText draw_calibration_text(const std::vector<CalibrationStream>& streams, int64_t num_windows,
                                      int64_t window, uint64_t seed);

}  // namespace moebench
