// The timing rule over thousands of simulated nights: what it finds, and how often it cries wolf. Twenty series; the
// eleven repetitions of a night differ by 1 % and one in twenty is an outlier; nights differ by 0.4 % beyond that, and
// all series of a night by another 0.2 % together.
#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "results/baseline_nights.h"
#include "results/resampling.h"
#include "results/verdict.h"

namespace moebench {
namespace {

constexpr size_t kSeries = 20, kRepetitions = 11, kHistory = 30, kStretch = 5;
constexpr int kMoreRounds = 2;

using Samples = std::vector<double>;

class SimulatedMachine {
 public:
  explicit SimulatedMachine(uint64_t seed) : random_(seed) {}

  // The state of a night for every series, and samples of one in that state.
  std::vector<double> night() {
    const double common = std::exp(0.002 * normal_(random_));
    std::vector<double> states(kSeries);
    for (double& state : states) state = common * std::exp(0.004 * normal_(random_));
    return states;
  }
  Samples measure(double state) {
    Samples samples(kRepetitions);
    for (double& sample : samples) {
      sample = state * std::exp(0.01 * normal_(random_));
      if (random_() % 20 == 0) sample *= 1 + 0.3 * static_cast<double>(random_() >> 11) / 9007199254740992.0;
    }
    return samples;
  }

 private:
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
};

struct SimulatedSeries {
  std::vector<Samples> nights;

  std::vector<double> medians() const {
    std::vector<double> values;
    for (const Samples& night : nights) values.push_back(median(night));
    return values;
  }
  // As `best` chooses it.
  Samples best() const {
    Samples pooled;
    const size_t begin = best_stretch(medians(), Direction::kLowerIsBetter, kStretch);
    for (size_t night = begin; night < begin + kStretch; ++night) {
      pooled.insert(pooled.end(), nights[night].begin(), nights[night].end());
    }
    return pooled;
  }
  void add(const Samples& night) {
    nights.push_back(night);
    if (nights.size() > kHistory) nights.erase(nights.begin());
  }
};

// As a night does it: measured, compared with the best of the history, and measured again where that was inconclusive.
std::vector<Verdict> verdicts(SimulatedMachine& machine, const std::vector<double>& states,
                              const std::vector<SimulatedSeries>& history, std::vector<Samples>& tonight) {
  std::vector<Verdict> found;
  std::vector<Evidence> evidence(states.size());
  std::vector<bool> is_stale(states.size(), true);
  for (int more = 0; more <= kMoreRounds; ++more) {
    std::vector<double> p_values;
    for (size_t series = 0; series < states.size(); ++series) {
      if (is_stale[series]) {
        evidence[series] = timing_evidence(history[series].best(), tonight[series], Direction::kLowerIsBetter, true,
                                           history[series].medians());
      }
      p_values.push_back(evidence[series].p_value);
    }
    const std::vector<double> adjusted = benjamini_hochberg_adjusted(p_values);
    found.clear();
    for (size_t series = 0; series < states.size(); ++series) {
      found.push_back(judge(evidence[series], adjusted[series]));
      is_stale[series] = found.back() == Verdict::kInconclusive && more < kMoreRounds;
      if (!is_stale[series]) continue;
      const Samples again = machine.measure(states[series]);
      tonight[series].insert(tonight[series].end(), again.begin(), again.end());
    }
  }
  return found;
}

// Nights in which at least one series was called a regression, and those in which the slowed one was.
struct Count {
  int any = 0, slowed = 0;
};

// slowdown: of the first series, in every counted night; what enters its history was measured without it.
Count simulate(int num_nights, double slowdown, uint64_t seed) {
  SimulatedMachine machine(seed);
  std::vector<SimulatedSeries> history(kSeries);
  for (size_t night = 0; night < kHistory; ++night) {
    const std::vector<double> states = machine.night();
    for (size_t series = 0; series < kSeries; ++series) history[series].add(machine.measure(states[series]));
  }
  Count count;
  for (int night = 0; night < num_nights; ++night) {
    std::vector<double> states = machine.night();
    const Samples unchanged = machine.measure(states[0]);
    states[0] *= 1 + slowdown;
    std::vector<Samples> tonight;
    for (const double state : states) tonight.push_back(machine.measure(state));
    const std::vector<Verdict> found = verdicts(machine, states, history, tonight);
    count.any += std::count(found.begin(), found.end(), Verdict::kRegressed) > 0;
    count.slowed += found[0] == Verdict::kRegressed;
    history[0].add(slowdown == 0 ? tonight[0] : unchanged);
    for (size_t series = 1; series < kSeries; ++series) history[series].add(tonight[series]);
  }
  return count;
}

TEST(SimulatedNightsTest, TwoThousandNightsWithoutAChangeGiveFewerThanFortyFalseAlarms) {
  EXPECT_LT(simulate(2000, 0, 1).any, 40);
}

TEST(SimulatedNightsTest, FivePerCentSlowerIsFoundInNineteenOfTwentyNights) {
  EXPECT_GE(simulate(400, 0.05, 2).slowed, 380);
}

TEST(SimulatedNightsTest, ATenthOfAPerCentIsNotFound) { EXPECT_LT(simulate(400, 0.001, 3).slowed, 8); }

}  // namespace
}  // namespace moebench
