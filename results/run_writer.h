// Run records into rows. Call within a write transaction.
#pragma once

#include "results/database.h"
#include "results/result_store.h"

namespace moebench {

int64_t machine_id(const Database& database, const MachineRecord& machine);
int64_t build_id(const Database& database, const BuildRecord& build);

// Throws std::invalid_argument naming the run and what is wrong with it: an empty name, an unknown status, a metric or
// an item twice, text that is not UTF-8.
void insert_run(const Database& database, const RunRecord& run, int64_t machine_id, int64_t build_id);

// With all that belongs to them.
void delete_runs(const Database& database, const std::string& cell_key);

}  // namespace moebench
