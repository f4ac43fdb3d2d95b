#include "harness/pipeline/plan_status.h"

namespace moebench {
namespace {

SweepCellStatus recorded_status(const SweepCell& cell, const RecordedCells& recorded) {
  SweepCellStatus status = {&cell, recorded.state(cell.key()), cell.error};
  if (status.state == CellState::kFailed) status.reason = recorded.find(cell.key())->error;
  return status;
}

}  // namespace

std::vector<SweepCellStatus> cell_statuses(const SweepPlan& plan, const RecordedCells& recorded,
                                           const ArtifactFolder& artifacts) {
  std::vector<SweepCellStatus> statuses;
  for (const PlannedModel& model : plan.models) {
    for (const PlannedConversion& conversion : model.conversions) {
      SweepCellStatus status = recorded_status(conversion.cell, recorded);
      if (status.state == CellState::kDone && !artifacts.holds(*recorded.completed(conversion.cell.key()))) {
        status.state = CellState::kMissing;
        status.reason = "it was done, but its file is gone or altered";
      }
      statuses.push_back(status);
    }
    for (const PlannedMeasurement& measurement : model.measurements) {
      statuses.push_back(recorded_status(measurement.cell, recorded));
    }
  }
  return statuses;
}

}  // namespace moebench
