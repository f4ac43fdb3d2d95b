#include "harness/pipeline/sweep_todo.h"

#include <algorithm>

#include "harness/content_hash.h"
#include "harness/pipeline/plan_status.h"
#include "harness/pipeline/run_record.h"

namespace moebench {
namespace {

// Why what is measured can never be made; "" if it can.
std::string source_error(const PlannedModel& model, const MeasuredThing& thing) {
  if (!thing.conversion) return "";
  const std::string& error = model.conversions[*thing.conversion].cell.error;
  return error.empty() && thing.retraining ? model.retrainings[*thing.retraining].cells[thing.mark].error : error;
}

class Search {
 public:
  Search(const SweepPlan& plan, ResultStore& store, const ArtifactFolder& artifacts, SweepProgress& progress,
         SweepOutcome& outcome, const std::set<std::string>* only)
      : plan_(plan),
        store_(store),
        artifacts_(artifacts),
        progress_(progress),
        outcome_(outcome),
        only_(only),
        recorded_(store.runs()) {}

  SweepTodo find(const PlannedModel& model) {
    const ModelStatuses statuses = model_statuses(model, recorded_, artifacts_);
    SweepTodo todo;
    std::vector<size_t> conversions;
    for (size_t index = 0; index < model.conversions.size(); ++index) {
      if (is_meant(model.conversions[index].cell) && needs_doing(model, statuses.conversions[index])) {
        conversions.push_back(index);
      }
    }
    todo.passes = conversion_passes(model, conversions);
    for (size_t index = 0; index < model.retrainings.size(); ++index) {
      if (!model.conversions[model.retrainings[index].conversion].cell.error.empty()) continue;
      if (!is_meant(model.retrainings[index].cells.back())) continue;
      bool any_missing = false;
      for (const SweepCellStatus& status : statuses.retrainings[index]) {
        if (!status.cell->error.empty()) {
          needs_doing(model, status);
          continue;
        }
        if (status.state == CellState::kDone) continue;
        forget_lost(*status.cell);
        any_missing = true;
      }
      if (any_missing) {
        todo.retrainings.push_back(index);
      } else if (model.retrainings[index].cells.front().error.empty()) {
        outcome_.reused += num_marks(model, {index});
      }
    }
    for (size_t index = 0; index < model.measurements.size(); ++index) {
      const PlannedMeasurement& measurement = model.measurements[index];
      const SweepCellStatus& status = statuses.measurements[index];
      if (!is_meant(measurement.cell)) continue;
      forget_missing_data(measurement);
      // A conversion that failed once is tried again, and may then be measured; an impossible one is not.
      const bool is_impossible = status.state == CellState::kBlocked && !source_error(model, measurement.thing).empty();
      if (!is_impossible && needs_doing(model, status)) todo.measurements.push_back(index);
    }
    return todo;
  }

 private:
  StageContext context(const PlannedModel& model) { return {plan_, model, store_, artifacts_, progress_}; }

  bool is_meant(const SweepCell& cell) const { return only_ == nullptr || only_->contains(cell.key()); }

  // The failure of the same cell from when its task's data was missing: the hash of nothing was in its key.
  void forget_missing_data(const PlannedMeasurement& measurement) {
    if (!any_failed_ || plan_.tasks[measurement.task].data_hash.empty()) return;
    nlohmann::json without_data = measurement.cell.identity();
    without_data["task_data"] = "";
    const std::string key = content_hash(without_data);
    if (recorded_.state(key) == CellState::kFailed) store_.forget(key);
  }

  // A cell that is not done, and was.
  void forget_lost(const SweepCell& cell) {
    if (recorded_.completed(cell.key()) == nullptr) return;
    progress_.note("made again, for its file is gone or altered: " + cell.label);
    store_.forget(cell.key());
  }

  // A cell that cannot be done is recorded at once.
  bool needs_doing(const PlannedModel& model, const SweepCellStatus& status) {
    const SweepCell& cell = *status.cell;
    if (status.state == CellState::kDone) {
      ++outcome_.reused;
      return false;
    }
    forget_lost(cell);
    if (cell.error.empty()) return true;
    add_failed_run(context(model), cell, seconds_since_epoch(), cell.error);
    ++outcome_.failed;
    return false;
  }

  const SweepPlan& plan_;
  ResultStore& store_;
  const ArtifactFolder& artifacts_;
  SweepProgress& progress_;
  SweepOutcome& outcome_;
  const std::set<std::string>* only_;
  const RecordedCells recorded_;
  const bool any_failed_ = std::any_of(recorded_.runs().begin(), recorded_.runs().end(),
                                       [](const RunRecord& run) { return run.status == "failed"; });
};

}  // namespace

int64_t num_marks(const PlannedModel& model, const std::vector<size_t>& retrainings) {
  int64_t marks = 0;
  for (const size_t index : retrainings) marks += static_cast<int64_t>(model.retrainings[index].marks.size());
  return marks;
}

std::vector<SweepTodo> missing_cells(const SweepPlan& plan, ResultStore& store, const ArtifactFolder& artifacts,
                                     SweepProgress& progress, SweepOutcome& outcome,
                                     const std::set<std::string>* only) {
  Search search(plan, store, artifacts, progress, outcome, only);
  std::vector<SweepTodo> todos;
  for (const PlannedModel& model : plan.models) todos.push_back(search.find(model));
  return todos;
}

std::vector<SweepTodo> cells_of_keys(const SweepPlan& plan, const std::set<std::string>& keys) {
  const auto is_meant = [&](const SweepCell& cell) { return keys.contains(cell.key()); };
  std::vector<SweepTodo> todos;
  for (const PlannedModel& model : plan.models) {
    SweepTodo todo;
    std::vector<size_t> conversions;
    for (size_t index = 0; index < model.conversions.size(); ++index) {
      if (is_meant(model.conversions[index].cell)) conversions.push_back(index);
    }
    todo.passes = conversion_passes(model, conversions);
    for (size_t index = 0; index < model.retrainings.size(); ++index) {
      const auto& cells = model.retrainings[index].cells;
      if (std::any_of(cells.begin(), cells.end(), is_meant)) todo.retrainings.push_back(index);
    }
    for (size_t index = 0; index < model.measurements.size(); ++index) {
      if (is_meant(model.measurements[index].cell)) todo.measurements.push_back(index);
    }
    todos.push_back(std::move(todo));
  }
  return todos;
}

}  // namespace moebench
