#include "results/history_changes.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>

#include "results/resampling.h"

namespace moebench {
namespace {

struct Fit {
  ChangeKind kind = ChangeKind::kStep;
  size_t first = 0;
  double slope = 0;      // of the logarithm: a step's height, a drift's rise in a night
  double reduction = 0;  // of the sum of squares about the mean
};

// Least squares on a level and one more term, which is 0 in the nights before.
struct TermSums {
  double x = 0, xx = 0, xy = 0;
};

Fit fit_term(ChangeKind kind, size_t first, const TermSums& sums, double sum_y, double num_nights) {
  const double spread = sums.xx - sums.x * sums.x / num_nights;
  const double slope = (sums.xy - sums.x * sum_y / num_nights) / spread;
  return {kind, first, slope, slope * slope * spread};
}

// From the last night backwards, so that every sum is the one behind it and a night more.
Fit best_fit(const std::vector<double>& logs, const HistorySearch& search) {
  const size_t size = logs.size();
  double sum_y = 0;
  for (const double value : logs) sum_y += value;
  Fit best;
  double tail = 0, drift_xy = 0;
  for (size_t first = size; first-- > search.min_before;) {
    tail += logs[first];
    drift_xy += tail;  // every night from first on counts once more: 1, 2, 3 …
    const auto nights = static_cast<double>(size - first), all = static_cast<double>(size);
    const auto consider = [&](const Fit& fit) {
      if (fit.reduction > best.reduction) best = fit;
    };
    if (size - first >= search.min_step) {
      consider(fit_term(ChangeKind::kStep, first, {nights, nights, tail}, sum_y, all));
    }
    if (size - first >= search.min_drift) {
      const double x = nights * (nights + 1) / 2, xx = x * (2 * nights + 1) / 3;
      consider(fit_term(ChangeKind::kDrift, first, {x, xx, drift_xy}, sum_y, all));
    }
  }
  return best;
}

double shuffled_share(std::vector<double> logs, const Fit& found, const HistorySearch& search) {
  std::mt19937_64 random(logs.size());
  int64_t as_good = 1;
  for (int64_t shuffle_number = 0; shuffle_number < search.num_shuffles; ++shuffle_number) {
    shuffle(logs, random);
    as_good += best_fit(logs, search).reduction >= found.reduction ? 1 : 0;
  }
  return static_cast<double>(as_good) / static_cast<double>(search.num_shuffles + 1);
}

void search_part(const std::vector<double>& logs, size_t begin, const HistorySearch& search,
                 std::vector<HistoryChange>& changes) {
  const Fit found = best_fit(logs, search);
  const double rises = found.kind == ChangeKind::kStep ? 1 : static_cast<double>(logs.size() - found.first);
  if (found.reduction == 0 || std::abs(found.slope) * rises < search.min_change) return;
  const double p_value = shuffled_share(logs, found, search);
  if (p_value > search.level) return;
  const auto split = logs.begin() + static_cast<std::ptrdiff_t>(found.first);
  search_part({logs.begin(), split}, begin, search, changes);
  changes.push_back({found.kind, begin + found.first, std::expm1(found.slope), p_value});
  if (found.kind == ChangeKind::kStep) search_part({split, logs.end()}, begin + found.first, search, changes);
}

double mean_of(const std::vector<double>& logs, size_t begin, size_t end) {
  double sum = 0;
  for (size_t night = begin; night < end; ++night) sum += logs[night];
  return sum / static_cast<double>(end - begin);
}

// A step was fitted while changes beside it were still in its levels; now it is from the level before to the next.
void measure_steps(const std::vector<double>& logs, std::vector<HistoryChange>& changes) {
  for (size_t change = 0; change < changes.size(); ++change) {
    const bool is_after_drift = change > 0 && changes[change - 1].kind == ChangeKind::kDrift;
    if (changes[change].kind == ChangeKind::kDrift || is_after_drift) continue;
    const size_t begin = change > 0 ? changes[change - 1].first : 0, first = changes[change].first;
    const size_t end = change + 1 < changes.size() ? changes[change + 1].first : logs.size();
    changes[change].size = std::expm1(mean_of(logs, first, end) - mean_of(logs, begin, first));
  }
}

}  // namespace

std::vector<HistoryChange> find_changes(const std::vector<double>& values, const HistorySearch& search) {
  std::vector<double> logs;
  for (const double value : values) {
    if (!(value > 0) || !std::isfinite(value)) return {};
    logs.push_back(std::log(value));
  }
  // Deviations from the first: sums of squares lose no digits to a large level.
  for (size_t night = logs.size(); night-- > 0;) logs[night] -= logs.front();
  std::vector<HistoryChange> changes;
  search_part(logs, 0, search, changes);
  measure_steps(logs, changes);
  return changes;
}

}  // namespace moebench
