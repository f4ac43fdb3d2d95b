// From runs to the comparison table: seeds become means, parts of one model a row.
#pragma once

#include <vector>

#include "results/result_store.h"
#include "results/table.h"

namespace moebench {

// records: in order of starting, as a store gives them; where two measured the same with the same seed, the later
// counts. Other weights, devices, texts and versions of a stage are other rows or columns. Stages other than convert
// and measure are passed over.
Table compare_runs(const std::vector<RunRecord>& records);

// The same, taking the metrics out of the measurements on the way, of which there can be millions.
Table compare_and_strip_runs(std::vector<RunRecord>& records);

}  // namespace moebench
