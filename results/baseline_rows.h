// Baselines and verdicts as rows. Call within a transaction.
#pragma once

#include <vector>

#include "results/database.h"
#include "results/result_store.h"

namespace moebench {

// What one name means of one run is what was said last, whatever the order of these calls. Throws std::invalid_argument
// for an empty name, an unknown run, or runs that have no metric.
void insert_baseline(const Database& database, const BaselineRecord& baseline);

std::vector<BaselineRecord> read_baselines(const Database& database);  // by name, then time

std::vector<ComparisonRecord> read_comparisons(const Database& database);

// Nothing if it is there already. Throws std::invalid_argument for a run or a metric of it that is not there.
void insert_comparison(const Database& database, const ComparisonRecord& comparison);

}  // namespace moebench
