#include "results/verdict.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "results/resampling.h"
#include "results/two_samples.h"

namespace moebench {
namespace {

constexpr uint64_t kIntervalSeed = 0;

bool has_clusters(const PairedScores& scores) {
  return std::any_of(scores.clusters.begin(), scores.clusters.end(),
                     [](const std::string& cluster) { return !cluster.empty(); });
}

bool is_whole(double value) { return value == std::floor(value); }

}  // namespace

const char* verdict_name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kImproved:
      return "improved";
    case Verdict::kRegressed:
      return "regressed";
    case Verdict::kInconclusive:
      return "inconclusive";
    case Verdict::kOk:
      break;
  }
  return "ok";
}

std::optional<double> history_spread(const std::vector<double>& medians, const VerdictRule& rule) {
  std::vector<double> changes;
  for (size_t night = 1; night < medians.size(); ++night) {
    changes.push_back(std::abs(medians[night] / medians[night - 1] - 1));
  }
  if (changes.size() < std::max<size_t>(rule.min_changes, 1)) return std::nullopt;
  std::sort(changes.begin(), changes.end());
  const double lower = sorted_quantile(changes, 0.25), upper = sorted_quantile(changes, 0.75);
  return upper + 3 * (upper - lower);
}

Evidence timing_evidence(const std::vector<double>& base, const std::vector<double>& candidate, Direction direction,
                         bool is_ratio, const std::vector<double>& history, const VerdictRule& rule) {
  if (direction == Direction::kNeither) throw std::invalid_argument("timing verdict: neither direction is worse");
  const bool lower_is_better = direction == Direction::kLowerIsBetter;
  const MedianRatio ratio =
      lower_is_better ? median_ratio(base, candidate, kIntervalSeed) : median_ratio(candidate, base, kIntervalSeed);
  const double usual = history_spread(history, rule).value_or(is_ratio ? 0 : rule.unknown_spread);
  return {.worsening = ratio.ratio - 1,
          .interval = {ratio.interval.low - 1, ratio.interval.high - 1},
          .threshold = std::max(rule.min_slowdown, usual),
          .p_value = mann_whitney(base, candidate).p_value};
}

Evidence quality_evidence(const PairedItems& items, const VerdictRule& rule) {
  const PairedDifference difference = paired_difference(items.scores);
  if (items.score == ItemScore::kNll) {
    return {difference.mean, difference.interval, rule.min_nll_change, difference.p_value};
  }
  return {.worsening = 0 - difference.mean,  // of no difference 0, not -0
          .interval = {0 - difference.interval.high, 0 - difference.interval.low},
          .p_value = has_clusters(items.scores) ? difference.p_value : mcnemar_test(items.scores).exact_p};
}

Verdict judge(const Evidence& evidence, double adjusted_p, const VerdictRule& rule) {
  if (adjusted_p < rule.level && evidence.worsening > evidence.threshold) return Verdict::kRegressed;
  if (adjusted_p < rule.level && evidence.worsening < -evidence.threshold) return Verdict::kImproved;
  const bool may_be_worse = std::max(evidence.interval.high, evidence.worsening) > evidence.threshold;
  return adjusted_p < rule.doubt && evidence.worsening > 0 && may_be_worse ? Verdict::kInconclusive : Verdict::kOk;
}

Verdict judge_counter(double base, double candidate, Direction direction, const VerdictRule& rule) {
  if (base == candidate || (std::isnan(base) && std::isnan(candidate))) return Verdict::kOk;
  if (!std::isfinite(candidate)) return Verdict::kRegressed;
  if (!std::isfinite(base)) return Verdict::kImproved;
  const bool is_exact = is_whole(base) && is_whole(candidate);
  const double tolerance = is_exact ? 0 : rule.counter_tolerance * std::max(std::abs(base), std::abs(candidate));
  if (std::abs(candidate - base) <= tolerance) return Verdict::kOk;
  const bool is_better = (direction == Direction::kLowerIsBetter && candidate < base) ||
                         (direction == Direction::kHigherIsBetter && candidate > base);
  return is_better ? Verdict::kImproved : Verdict::kRegressed;
}

}  // namespace moebench
