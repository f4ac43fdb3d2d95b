// Training windows of a text, in a random order.
#pragma once

#include <cstdint>

#include <ATen/core/Tensor.h>

namespace moebench {

// The text in windows side by side; each comes once before any comes again, in an order that seed and the number of the
// round decide. (Tokens behind the last whole window are never seen.)
class TokenWindows {
 public:
  // ids: [num_tokens] int64. Throws std::invalid_argument if they are fewer than one window.
  TokenWindows(const at::Tensor& ids, int64_t window, uint64_t seed);

  // Windows first, first + 1, … of the endless sequence: [count, window].
  at::Tensor read(int64_t first, int64_t count);

 private:
  at::Tensor windows_;  // [num_windows, window]
  uint64_t seed_;
  int64_t round_ = -1;
  at::Tensor order_;  // of round_
};

}  // namespace moebench
