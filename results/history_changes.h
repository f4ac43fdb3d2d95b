// When did it begin? A history of nights is searched for steps (another level from one night on) and drifts (a little
// more every night). Each is the best least-squares fit of its kind to the logarithms; it counts if shuffled nights
// hardly ever give one as good. What lies before it is searched again, and after a step what lies behind it, too
// (binary segmentation).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace moebench {

enum class ChangeKind { kStep, kDrift };

struct HistoryChange {
  ChangeKind kind = ChangeKind::kStep;
  size_t first = 0;    // the first night of the new level, or of the drift; the one before is the last of the old
  double size = 0;     // a share: of the step, or of the drift in one night
  double p_value = 1;  // of num_shuffles orders
};

struct HistorySearch {
  double level = 0.01;
  double min_change = 0.001;                           // a share: of a step, or of a drift by its last night
  size_t min_before = 3, min_step = 2, min_drift = 4;  // nights
  int64_t num_shuffles = 999;
};

// Oldest first. values: one a night, oldest first; none are found where one is not above 0. The same values give the
// same changes, anywhere.
std::vector<HistoryChange> find_changes(const std::vector<double>& values, const HistorySearch& search = {});

}  // namespace moebench
