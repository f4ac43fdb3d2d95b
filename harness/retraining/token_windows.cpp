#include "harness/retraining/token_windows.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "harness/retraining/random_seed.h"

namespace moebench {

TokenWindows::TokenWindows(const at::Tensor& ids, int64_t window, uint64_t seed) : seed_(seed) {
  const int64_t num_windows = ids.numel() / window;
  if (num_windows == 0) {
    throw std::invalid_argument("the text to retrain on has " + std::to_string(ids.numel()) +
                                " tokens, fewer than one window of " + std::to_string(window) +
                                "; give more text or a smaller window");
  }
  windows_ = ids.narrow(0, 0, num_windows * window).view({num_windows, window});
}

at::Tensor TokenWindows::read(int64_t first, int64_t count) {
  const int64_t num_windows = windows_.size(0);
  std::vector<at::Tensor> parts;
  while (count > 0) {
    const int64_t round = first / num_windows, place = first % num_windows;
    if (round != round_) {
      const at::Generator generator = at::detail::createCPUGenerator(mixed_seed(seed_, static_cast<uint64_t>(round)));
      order_ = at::randperm(num_windows, generator, at::kLong);
      round_ = round;
    }
    const int64_t here = std::min(count, num_windows - place);
    parts.push_back(windows_.index_select(0, order_.narrow(0, place, here)));
    first += here;
    count -= here;
  }
  return at::cat(parts);
}

}  // namespace moebench
