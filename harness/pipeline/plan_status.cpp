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

// What hangs on another cell cannot be done where that one failed or is blocked itself.
SweepCellStatus blocked_by(const SweepCellStatus& source, const SweepCellStatus& status) {
  if (status.state == CellState::kDone) return status;
  if (source.state == CellState::kBlocked) return {status.cell, CellState::kBlocked, source.reason};
  if (source.state != CellState::kFailed && source.cell->error.empty()) return status;
  const char* what = source.cell->stage == "retrain" ? "its retraining failed: " : "its conversion failed: ";
  return {status.cell, CellState::kBlocked, what + source.reason};
}

std::vector<SweepCellStatus> mark_statuses(const PlannedRetraining& retraining, const SweepCellStatus& conversion,
                                           const RecordedCells& recorded, const ArtifactFolder& artifacts) {
  std::vector<SweepCellStatus> marks;
  for (const SweepCell& cell : retraining.cells) {
    marks.push_back(blocked_by(conversion, conversion_status(cell, recorded, artifacts)));
  }
  return marks;
}

}  // namespace

ModelStatuses model_statuses(const PlannedModel& model, const RecordedCells& recorded,
                             const ArtifactFolder& artifacts) {
  ModelStatuses statuses;
  for (const PlannedConversion& conversion : model.conversions) {
    statuses.conversions.push_back(conversion_status(conversion.cell, recorded, artifacts));
  }
  for (const PlannedRetraining& retraining : model.retrainings) {
    statuses.retrainings.push_back(
        mark_statuses(retraining, statuses.conversions[retraining.conversion], recorded, artifacts));
  }
  for (const auto& [cell, thing, task] : model.measurements) {
    const SweepCellStatus status = recorded_status(cell, recorded);
    statuses.measurements.push_back(thing.retraining
                                        ? blocked_by(statuses.retrainings[*thing.retraining][thing.mark], status)
                                    : thing.conversion ? blocked_by(statuses.conversions[*thing.conversion], status)
                                                       : status);
  }
  return statuses;
}

std::vector<SweepCellStatus> cell_statuses(const SweepPlan& plan, const RecordedCells& recorded,
                                           const ArtifactFolder& artifacts) {
  std::vector<SweepCellStatus> all;
  for (const PlannedModel& model : plan.models) {
    const ModelStatuses statuses = model_statuses(model, recorded, artifacts);
    all.insert(all.end(), statuses.conversions.begin(), statuses.conversions.end());
    for (const auto& marks : statuses.retrainings) all.insert(all.end(), marks.begin(), marks.end());
    all.insert(all.end(), statuses.measurements.begin(), statuses.measurements.end());
  }
  return all;
}

}  // namespace moebench
