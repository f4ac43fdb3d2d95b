#include "harness/model/softmax_rows.h"

#include <algorithm>

#include "harness/model/vectorised.h"

namespace moebench {

MOEBENCH_VECTORISED float exponentiate_row(float* row, int64_t num_keys, int64_t first, int64_t end) {
  // Whole groups of lanes from 0 on, so that a sum's order depends on the keys' places alone. What is not seen is as
  // low as exponentials go down to, and made 0 afterwards.
  const int64_t begin = first / kLanes * kLanes, padded_end = (end + kLanes - 1) / kLanes * kLanes;
  constexpr float kUnseen = -1e30f;
  std::fill(row, row + first, kUnseen);
  std::fill(row + end, row + num_keys, kUnseen);
  float highest[kLanes];
  std::fill(highest, highest + kLanes, kUnseen);
  for (int64_t key = begin; key < padded_end; key += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      highest[lane] = row[key + lane] > highest[lane] ? row[key + lane] : highest[lane];
    }
  }
  const float offset = *std::max_element(highest, highest + kLanes);
  float lanes[kLanes] = {};
  for (int64_t key = begin; key < padded_end; key += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const float score = row[key + lane];
      row[key + lane] = score == kUnseen ? 0 : exp_of_negative(score - offset);
    }
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += row[key + lane];
  }
  std::fill(row, row + begin, 0.0f);
  std::fill(row + padded_end, row + num_keys, 0.0f);
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

}  // namespace moebench
