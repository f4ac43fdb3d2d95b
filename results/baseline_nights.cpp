#include "results/baseline_nights.h"

#include <algorithm>
#include <cmath>

#include "results/resampling.h"

namespace moebench {
namespace {

constexpr size_t kStretch = 5;

// All rounds of these nights, as if they were one.
NightSeries pooled(const std::vector<const NightSeries*>& nights) {
  NightSeries all = *nights.front();
  for (size_t night = 1; night < nights.size(); ++night) {
    all.samples.insert(all.samples.end(), nights[night]->samples.begin(), nights[night]->samples.end());
    all.runs.insert(all.runs.end(), nights[night]->runs.begin(), nights[night]->runs.end());
  }
  return all;
}

// nights: of one series, oldest first; not empty.
NightSeries best_nights(const std::vector<const NightSeries*>& nights) {
  std::vector<double> values;
  for (const NightSeries* night : nights) values.push_back(night->value());
  const NightSeries& first = *nights.front();
  const size_t length = std::min(first.is_timed ? kStretch : 1, nights.size());
  const auto begin = nights.begin() + static_cast<std::ptrdiff_t>(best_stretch(values, first.metric.direction, length));
  return pooled({begin, begin + static_cast<std::ptrdiff_t>(length)});
}

}  // namespace

Baseline baseline_of(const std::string& title, const Night& night) {
  Baseline baseline{.title = title};
  for (const NightSeries& series : night.series) baseline.series.emplace(series.key, series);
  return baseline;
}

size_t best_stretch(const std::vector<double>& values, Direction direction, size_t num_nights) {
  const size_t length = std::min(num_nights, values.size());
  size_t best = 0;
  double best_value = std::nan("");
  for (size_t begin = 0; begin + length <= values.size() && length > 0; ++begin) {
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(begin);
    const double value = median({first, first + static_cast<std::ptrdiff_t>(length)});
    const bool is_worse = direction == Direction::kLowerIsBetter    ? value > best_value
                          : direction == Direction::kHigherIsBetter ? value < best_value
                                                                    : false;
    if (std::isnan(value) || is_worse) continue;
    best = begin;
    best_value = value;
  }
  return best;
}

Baseline best_of(const std::vector<Night>& before, const Night& tonight, size_t num_nights) {
  const size_t begin = before.size() - std::min(before.size(), num_nights);
  std::map<std::string, std::vector<const NightSeries*>> comparable;
  std::map<std::string, const NightSeries*> latest;
  for (size_t night = begin; night < before.size(); ++night) {
    const bool is_last = night + 1 == before.size();
    for (const NightSeries& series : before[night].series) {
      const NightSeries* now = tonight.find(series.key);
      if (now != nullptr || is_last) latest[series.key] = &series;
      if (now == nullptr || !fingerprint_differences(*series.runs.front(), *now->runs.front()).empty()) continue;
      comparable[series.key].push_back(&series);
    }
  }
  const size_t available = before.size() - begin;
  Baseline baseline{.title = "best of the last " + (available == 1 ? "night" : std::to_string(available) + " nights")};
  for (const auto& [key, nights] : comparable) baseline.series.emplace(key, best_nights(nights));
  for (const auto& [key, series] : latest) baseline.series.emplace(key, *series);  // nothing compares, or it is gone
  return baseline;
}

}  // namespace moebench
