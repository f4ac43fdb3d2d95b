#include "kernels/timing/turns.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <stdexcept>

namespace moebench::kernels {
namespace {

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

std::vector<std::vector<double>> time_in_turns(const std::vector<TimedArm>& arms, const TimingLimits& limits,
                                               const std::function<void()>& between) {
  std::vector<std::vector<double>> seconds(arms.size());
  const double begin = seconds_now();
  for (int64_t round = 0; round <= limits.max_rounds; ++round) {
    if (round > limits.min_rounds && seconds_now() - begin > limits.seconds) break;
    for (size_t turn = 0; turn < arms.size(); ++turn) {
      const size_t arm = (turn + round) % arms.size();
      const double start = seconds_now();
      arms[arm].run(round);
      const double elapsed = seconds_now() - start;
      if (round > 0) seconds[arm].push_back(elapsed);
      if (between) between();
    }
  }
  return seconds;
}

double quantile(std::vector<double> values, double q) {
  if (values.empty()) throw std::logic_error("a quantile of nothing");
  std::sort(values.begin(), values.end());
  const double position = q * static_cast<double>(values.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (position - static_cast<double>(below)) * (values[above] - values[below]);
}

PairedRatio paired_ratio(const std::vector<double>& numerator, const std::vector<double>& denominator) {
  constexpr int kResamples = 2000;
  std::vector<double> ratios;
  for (size_t round = 0; round < numerator.size(); ++round) ratios.push_back(numerator[round] / denominator.at(round));
  std::mt19937_64 generator(1);
  std::uniform_int_distribution<size_t> pick(0, ratios.size() - 1);
  std::vector<double> medians, resample(ratios.size());
  for (int i = 0; i < kResamples; ++i) {
    for (double& ratio : resample) ratio = ratios[pick(generator)];
    const auto middle = resample.begin() + static_cast<std::ptrdiff_t>(resample.size() / 2);
    std::nth_element(resample.begin(), middle, resample.end());
    medians.push_back(*middle);
  }
  return {quantile(ratios, 0.5), quantile(medians, 0.025), quantile(medians, 0.975)};
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kFaster:
      return "FASTER";
    case Verdict::kSlower:
      return "SLOWER";
    case Verdict::kIndistinguishable:
      break;
  }
  return "INDISTINGUISHABLE";
}

Verdict judge(const PairedRatio& ratio, const PairedRatio& same) {
  const double spread = std::max(std::abs(same.low - 1), std::abs(same.high - 1));
  if (ratio.high < 1 - spread) return Verdict::kFaster;
  if (ratio.low > 1 + spread) return Verdict::kSlower;
  return Verdict::kIndistinguishable;
}

}  // namespace moebench::kernels
