#include "harness/pipeline/plan_status.h"

namespace moebench {
namespace {

SweepCellStatus recorded_status(const SweepCell& cell, const RecordedCells& recorded) {
  SweepCellStatus status = {&cell, recorded.state(cell.key()), cell.error};
  if (status.state == CellState::kFailed) status.reason = recorded.find(cell.key())->error;
  return status;
}

SweepCellStatus conversion_status(const SweepCell& cell, const RecordedCells& recorded,
                                  const ArtifactFolder& artifacts) {
  SweepCellStatus status = recorded_status(cell, recorded);
  if (status.state == CellState::kDone && !artifacts.holds(*recorded.completed(cell.key()))) {
    status.state = CellState::kMissing;
    status.reason = "it was done, but its file is gone or altered";
  }
  return status;
}

// conversion: null for the dense parent.
SweepCellStatus measurement_status(const SweepCell& cell, const RecordedCells& recorded,
                                   const SweepCellStatus* conversion) {
  const SweepCellStatus status = recorded_status(cell, recorded);
  if (conversion == nullptr || status.state == CellState::kDone) return status;
  if (conversion->state != CellState::kFailed && conversion->cell->error.empty()) return status;
  return {&cell, CellState::kBlocked, "its conversion failed: " + conversion->reason};
}

}  // namespace

ModelStatuses model_statuses(const PlannedModel& model, const RecordedCells& recorded,
                             const ArtifactFolder& artifacts) {
  ModelStatuses statuses;
  for (const PlannedConversion& conversion : model.conversions) {
    statuses.conversions.push_back(conversion_status(conversion.cell, recorded, artifacts));
  }
  for (const PlannedMeasurement& measurement : model.measurements) {
    const SweepCellStatus* conversion =
        measurement.conversion ? &statuses.conversions[*measurement.conversion] : nullptr;
    statuses.measurements.push_back(measurement_status(measurement.cell, recorded, conversion));
  }
  return statuses;
}

std::vector<SweepCellStatus> cell_statuses(const SweepPlan& plan, const RecordedCells& recorded,
                                           const ArtifactFolder& artifacts) {
  std::vector<SweepCellStatus> all;
  for (const PlannedModel& model : plan.models) {
    const ModelStatuses statuses = model_statuses(model, recorded, artifacts);
    all.insert(all.end(), statuses.conversions.begin(), statuses.conversions.end());
    all.insert(all.end(), statuses.measurements.begin(), statuses.measurements.end());
  }
  return all;
}

}  // namespace moebench
