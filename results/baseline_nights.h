// Which earlier nights a metric of tonight is compared with.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "results/night.h"

namespace moebench {

// What a night is compared with, by NightSeries::key. The runs are the caller's.
struct Baseline {
  std::string title;  // "baseline 'accepted'", "best of the last 30 nights"
  std::map<std::string, NightSeries> series;
};

Baseline baseline_of(const std::string& title, const Night& night);

// The first of the num_nights in a row (fewer if there are no more) with the best median; of equal ones the last.
size_t best_stretch(const std::vector<double>& values, Direction direction, size_t num_nights);

// Of each metric the best of the last num_nights of those before (oldest first) that compare with tonight's: of times
// the best five nights in a row together, for the best single one of thirty owes its place to luck as well; else the
// best night. Where none compares, the latest, so that it is said why. What only earlier nights had is not missed.
Baseline best_of(const std::vector<Night>& before, const Night& tonight, size_t num_nights = 30);

}  // namespace moebench
