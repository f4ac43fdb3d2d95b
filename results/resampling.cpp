#include "results/resampling.h"

#include <algorithm>
#include <utility>

namespace moebench {

double sorted_quantile(const std::vector<double>& values, double probability) {
  const double place = probability * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (values[above] - values[below]) * (place - static_cast<double>(below));
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

size_t random_place(std::mt19937_64& random, size_t size) {
  constexpr double kUnit = 1.0 / 9007199254740992.0;  // 2^-53
  return static_cast<size_t>(static_cast<double>(random() >> 11) * kUnit * static_cast<double>(size));
}

void shuffle(std::vector<double>& values, std::mt19937_64& random) {
  for (size_t left = values.size(); left > 1; --left) std::swap(values[left - 1], values[random_place(random, left)]);
}

}  // namespace moebench
