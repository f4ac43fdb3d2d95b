#include "harness/evidence/calibration_text.h"

#include <stdexcept>

#include "harness/content_hash.h"
#include "harness/text/corpus.h"

namespace moebench {

CalibrationText draw_calibration_text(const std::vector<CalibrationStream>& streams, int64_t num_windows,
                                      int64_t window, uint64_t seed) {
  CalibrationText text;
  ContentHasher hasher;
  for (const CalibrationStream& stream : streams) {
    at::Tensor windows;
    try {
      windows = random_windows(stream.ids, num_windows, window, seed).contiguous();
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("calibration text " + stream.domain + ": " + error.what());
    }
    hasher.update(stream.domain);
    hasher.update({static_cast<const char*>(windows.const_data_ptr()), windows.nbytes()});
    text.domains.push_back(stream.domain);
    text.windows.push_back(std::move(windows));
  }
  text.content_hash = hasher.finish();
  return text;
}

}  // namespace moebench
