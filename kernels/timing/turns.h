// Comparing times on a machine that others use, too: arms take turns within one process, and what counts is the ratio
// of neighbours, not the time of either.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace moebench::kernels {

struct TimedArm {
  std::string name;
  std::function<void(int64_t round)> run;
};

struct TimingLimits {
  int64_t min_rounds = 15;
  int64_t max_rounds = 2000;
  double seconds = 1;  // after which no round begins, but for min_rounds
};

// [arm][round] seconds. A first round is not counted; every round begins with another arm. between is called after
// each arm, untimed: an interrupt, progress, putting the machine into the state that every arm is to find.
std::vector<std::vector<double>> time_in_turns(const std::vector<TimedArm>& arms, const TimingLimits& limits,
                                               const std::function<void()>& between = {});

// q in [0, 1], between neighbours linear. values need not be sorted, and are not empty.
double quantile(std::vector<double> values, double q);

// The median of what round by round numerator takes over denominator, with a 95 % interval (bootstrap over rounds,
// percentiles, 2000 resamples, a seed of its own).
struct PairedRatio {
  double median = 1, low = 1, high = 1;
};
PairedRatio paired_ratio(const std::vector<double>& numerator, const std::vector<double>& denominator);

enum class Verdict { kFaster, kSlower, kIndistinguishable };
const char* name_of(Verdict verdict);

// same: the ratio of two arms that are the same. A difference counts if its interval is farther from 1 than any end of
// that of the same.
Verdict judge(const PairedRatio& ratio, const PairedRatio& same);

}  // namespace moebench::kernels
