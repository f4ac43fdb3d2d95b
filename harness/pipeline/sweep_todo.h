// What of a plan is to be done.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "harness/pipeline/stages.h"
#include "harness/pipeline/sweep_run.h"

namespace moebench {

// Of one model.
struct SweepTodo {
  std::vector<ConversionPass> passes;
  std::vector<size_t> retrainings;   // as wholes, even where some of their marks were there before
  std::vector<size_t> measurements;  // also of what is still to be converted or retrained
};

// Of each model, what the database does not have; of `only` these keys, where given. Cells that cannot be done are
// recorded as failed, and counted, with what was done before, in outcome. Throws as run_sweep does.
std::vector<SweepTodo> missing_cells(const SweepPlan& plan, ResultStore& store, const ArtifactFolder& artifacts,
                                     SweepProgress& progress, SweepOutcome& outcome,
                                     const std::set<std::string>* only = nullptr);

// Of each model, the cells of these keys, whatever the database has.
std::vector<SweepTodo> cells_of_keys(const SweepPlan& plan, const std::set<std::string>& keys);

// Of these retrainings of the model.
int64_t num_marks(const PlannedModel& model, const std::vector<size_t>& retrainings);

}  // namespace moebench
