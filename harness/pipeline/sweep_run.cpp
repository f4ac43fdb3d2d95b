#include "harness/pipeline/sweep_run.h"

#include <algorithm>
#include <optional>

#include "harness/error.h"
#include "harness/interrupt.h"
#include "harness/pipeline/plan_status.h"
#include "harness/pipeline/run_record.h"
#include "harness/pipeline/stages.h"

namespace moebench {
namespace {

// What of one model is to be done.
struct Todo {
  std::vector<ConversionPass> passes;
  std::vector<size_t> retrainings;
  std::vector<size_t> measurements;
};

// A retraining is done as a whole, even where some of its marks were there before.
int64_t num_marks(const PlannedModel& model, const std::vector<size_t>& retrainings) {
  int64_t marks = 0;
  for (const size_t index : retrainings) marks += static_cast<int64_t>(model.retrainings[index].marks.size());
  return marks;
}

// Why what is measured can never be made; "" if it can.
std::string source_error(const PlannedModel& model, const MeasuredThing& thing) {
  const std::string& error = model.conversions[*thing.conversion].cell.error;
  return error.empty() && thing.retraining ? model.retrainings[*thing.retraining].cells[thing.mark].error : error;
}

bool contains(const std::vector<size_t>& list, const std::optional<size_t>& index) {
  return index && std::find(list.begin(), list.end(), *index) != list.end();
}

class SweepRun {
 public:
  SweepRun(const SweepPlan& plan, ResultStore& store, const ArtifactFolder& artifacts, SweepProgress& progress)
      : plan_(plan), store_(store), artifacts_(artifacts), progress_(progress), recorded_(store.runs()) {}

  SweepOutcome run() {
    std::vector<Todo> todos;
    for (const PlannedModel& model : plan_.models) todos.push_back(find_todo(model));
    for (size_t model = 0; model < todos.size(); ++model) run_model(plan_.models[model], todos[model]);
    return outcome_;
  }

 private:
  StageContext context(const PlannedModel& model) { return {plan_, model, store_, artifacts_, progress_}; }

  Todo find_todo(const PlannedModel& model) {
    const ModelStatuses statuses = model_statuses(model, recorded_, artifacts_);
    Todo todo;
    std::vector<size_t> conversions;
    for (size_t index = 0; index < model.conversions.size(); ++index) {
      if (needs_doing(model, statuses.conversions[index])) conversions.push_back(index);
    }
    todo.passes = conversion_passes(model, conversions);
    for (size_t index = 0; index < model.retrainings.size(); ++index) {
      if (!model.conversions[model.retrainings[index].conversion].cell.error.empty()) continue;
      bool any_missing = false;
      for (const SweepCellStatus& status : statuses.retrainings[index]) {
        if (!status.cell->error.empty()) {
          needs_doing(model, status);
          continue;
        }
        any_missing = any_missing || status.state != CellState::kDone;
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
      forget_missing_data(measurement.cell);
      // A conversion that failed once is tried again, and may then be measured; an impossible one is not.
      const bool is_impossible = status.state == CellState::kBlocked && !source_error(model, measurement.thing).empty();
      if (!is_impossible && needs_doing(model, status)) todo.measurements.push_back(index);
    }
    expect_conversions(todo.passes, progress_);
    expect_retrainings(context(model), todo.retrainings);
    expect_measurements(context(model), todo.measurements);
    return todo;
  }

  // The failure of the same cell from when its task's data was missing: the hash of nothing was in its key.
  void forget_missing_data(const SweepCell& cell) {
    SweepCell without_data = cell;
    without_data.identity["task_data"] = "";
    const std::string key = without_data.key();
    if (key != cell.key() && recorded_.state(key) == CellState::kFailed) store_.forget(key);
  }

  // A cell that cannot be done is recorded at once.
  bool needs_doing(const PlannedModel& model, const SweepCellStatus& status) {
    const SweepCell& cell = *status.cell;
    if (status.state == CellState::kDone) {
      ++outcome_.reused;
      return false;
    }
    if (recorded_.completed(cell.key()) != nullptr) {
      progress_.note("converting again, for its file is gone or altered: " + cell.label);
      store_.forget(cell.key());
    }
    if (cell.error.empty()) return true;
    add_failed_run(context(model), cell, seconds_since_epoch(), cell.error);
    ++outcome_.failed;
    return false;
  }

  void run_model(const PlannedModel& model, Todo& todo) {
    int64_t num_conversions = 0;
    for (const ConversionPass& pass : todo.passes) num_conversions += static_cast<int64_t>(pass.size());
    const std::vector<size_t> failed = run_conversions(context(model), todo.passes);
    count(num_conversions, static_cast<int64_t>(failed.size()));
    std::erase_if(todo.retrainings,
                  [&](size_t index) { return contains(failed, model.retrainings[index].conversion); });
    const std::vector<size_t> untrained = run_retrainings(context(model), todo.retrainings);
    count(num_marks(model, todo.retrainings), num_marks(model, untrained));
    std::erase_if(todo.measurements, [&](size_t index) {
      const MeasuredThing& thing = model.measurements[index].thing;
      return contains(failed, thing.conversion) || contains(untrained, thing.retraining);
    });
    count(static_cast<int64_t>(todo.measurements.size()), run_measurements(context(model), todo.measurements));
  }

  void count(int64_t attempted, int64_t failed) {
    outcome_.computed += attempted - failed;
    outcome_.failed += failed;
  }

  const SweepPlan& plan_;
  ResultStore& store_;
  const ArtifactFolder& artifacts_;
  SweepProgress& progress_;
  const RecordedCells recorded_;
  SweepOutcome outcome_;
};

}  // namespace

void add_failed_run(const StageContext& context, const SweepCell& cell, double started, const std::string& error) {
  context.progress.note("failed: " + cell.label + ": " + error.substr(0, error.find('\n')));
  context.store.add(make_run(cell, started, error));
}

bool record_failure(const StageContext& context, const SweepCell& cell, const std::function<void()>& step) {
  const double started = seconds_since_epoch();
  std::string error;
  try {
    step();
    return true;
  } catch (const Interrupted&) {
    throw;
  } catch (const TryAgainError&) {
    throw;
  } catch (const std::exception& exception) {
    error = exception.what();
  }
  context.progress.abandon();
  add_failed_run(context, cell, started, error.empty() ? "failed without a reason" : error);
  return false;
}

SweepOutcome run_sweep(const SweepPlan& plan, ResultStore& store, const ArtifactFolder& artifacts,
                       SweepProgress& progress) {
  return SweepRun(plan, store, artifacts, progress).run();
}

}  // namespace moebench
