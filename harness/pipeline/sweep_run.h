// Runs what a plan is missing: conversions, then measurements. Each result is committed as soon as it is there, so a
// sweep killed at any moment goes on where it was.
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "harness/pipeline/artifact_folder.h"
#include "harness/pipeline/progress.h"
#include "harness/pipeline/sweep_plan.h"
#include "results/result_store.h"

namespace moebench {

struct SweepOutcome {
  int64_t computed = 0;  // cells done now
  int64_t reused = 0;    // cells done before
  int64_t failed = 0;    // cells recorded as failed, with the reason; what hangs on a failed conversion is left out
};

// A cell that fails is recorded and the sweep goes on. only: of these keys, where given. Throws Interrupted at a safe
// point after a signal, TryAgainError if the database or the artifacts cannot be written.
SweepOutcome run_sweep(const SweepPlan& plan, ResultStore& store, const ArtifactFolder& artifacts,
                       SweepProgress& progress, const std::set<std::string>* only = nullptr);

// The cells of these keys alone, whatever the database has of them; what they are made of must be there. For a process
// that works for another, which holds the lock.
SweepOutcome run_cells(const SweepPlan& plan, const std::set<std::string>& keys, ResultStore& store,
                       const ArtifactFolder& artifacts, SweepProgress& progress);

}  // namespace moebench
