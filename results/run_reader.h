// Rows back into run records. Call within a transaction, so that all rows are of one moment.
#pragma once

#include <string>
#include <vector>

#include "results/database.h"
#include "results/result_store.h"

namespace moebench {

// In order of starting, without items. Throws std::runtime_error naming the run whose config cannot be read.
std::vector<RunRecord> read_runs(const Database& database);

// By task, then id: numbers as numbers.
std::vector<Item> read_items(const Database& database, const std::string& uuid);

}  // namespace moebench
