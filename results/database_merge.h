// Results of several databases in one. What comes out depends on what goes in alone: not on the order, nor on how often
// something goes in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "results/database.h"

namespace moebench {

struct MergeReport {
  int64_t added = 0;       // runs
  int64_t known = 0;       // runs that were there
  int64_t superseded = 0;  // failed runs of cells that another run completed, or failed at later; not kept
  // Cells with a second result, a sentence each: both are kept, the earlier one as the cell's.
  std::vector<std::string> conflicts;
};

// Adds source's runs, baselines and verdicts to target. A run is the same if its uuid is. Of a cell that was completed
// twice the run that started first (then: the lesser uuid) keeps the cell's key, the other one has "<key>#<its uuid>".
// Call within a write transaction. Throws as insert_run does.
void merge_into(const Database& target, const Database& source, MergeReport& report);

}  // namespace moebench
