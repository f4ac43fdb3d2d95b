// Where each cell of a plan stands against a database.
#pragma once

#include <vector>

#include "harness/pipeline/artifact_folder.h"
#include "harness/pipeline/plan_listing.h"
#include "harness/pipeline/sweep_plan.h"

namespace moebench {

struct ModelStatuses {
  std::vector<SweepCellStatus> conversions, measurements;  // in the model's order
  std::vector<std::vector<SweepCellStatus>> retrainings;   // of each, its marks
};

// model must outlive the result.
ModelStatuses model_statuses(const PlannedModel& model, const RecordedCells& recorded, const ArtifactFolder& artifacts);

// In the order of execution: of each model the conversions, the retrainings, then the measurements. plan must outlive
// the result.
std::vector<SweepCellStatus> cell_statuses(const SweepPlan& plan, const RecordedCells& recorded,
                                           const ArtifactFolder& artifacts);

}  // namespace moebench
