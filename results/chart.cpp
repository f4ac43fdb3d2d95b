#include "results/chart.h"

#include <algorithm>
#include <cmath>

namespace moebench {
namespace {

constexpr double kFewTicks = 3, kManyTicks = 8;

std::vector<double> linear_ticks(double low, double high) {
  const double rough = (high - low) / 5;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  const double share = rough / power;
  const double step = power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
  std::vector<double> ticks;
  const double first = std::ceil(low / step - 1e-9);
  for (double number = first; number * step <= high + step * 1e-9 && ticks.size() < 20; ++number) {
    ticks.push_back(number * step);
  }
  return ticks;
}

std::vector<double> powers_times(const std::vector<double>& factors, double low, double high) {
  std::vector<double> ticks;
  const int first = static_cast<int>(std::floor(std::log10(low))), last = static_cast<int>(std::ceil(std::log10(high)));
  const int stride = std::max(1, (last - first) / static_cast<int>(kManyTicks));
  for (int power = first; power <= last; power += stride) {
    for (const double factor : factors) {
      const double tick = factor * std::pow(10, power);
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) ticks.push_back(tick);
    }
  }
  return ticks;
}

}  // namespace

bool has_points(const Chart& chart) {
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      if (std::isfinite(point.x) && std::isfinite(point.y)) return true;
    }
  }
  return false;
}

std::vector<double> ticks_of(double low, double high, Scale scale) {
  if (!std::isfinite(low) || !std::isfinite(high)) return {};
  if (!(high > low)) return {low};
  if (scale == Scale::kLinear) return linear_ticks(low, high);
  for (const std::vector<double>& factors : {std::vector<double>{1, 2, 3, 4, 5, 6, 8}, {1, 2, 5}, {1, 3}, {1}}) {
    std::vector<double> ticks = powers_times(factors, low, high);
    if (static_cast<double>(ticks.size()) <= kManyTicks) {
      return static_cast<double>(ticks.size()) >= kFewTicks ? ticks : linear_ticks(low, high);
    }
  }
  return powers_times({1}, low, high);
}

}  // namespace moebench
