#include "harness/pipeline/sweep_run.h"

#include <algorithm>
#include <optional>

#include "harness/error.h"
#include "harness/interrupt.h"
#include "harness/pipeline/run_record.h"
#include "harness/pipeline/stages.h"
#include "harness/pipeline/sweep_todo.h"

namespace moebench {
namespace {

bool contains(const std::vector<size_t>& list, const std::optional<size_t>& index) {
  return index && std::find(list.begin(), list.end(), *index) != list.end();
}

// One cell after the other, in this process.
class SerialRun {
 public:
  SerialRun(const SweepPlan& plan, ResultStore& store, const ArtifactFolder& artifacts, SweepProgress& progress,
            SweepOutcome& outcome)
      : plan_(plan), store_(store), artifacts_(artifacts), progress_(progress), outcome_(outcome) {}

  void run(std::vector<SweepTodo> todos) {
    for (size_t model = 0; model < todos.size(); ++model) {
      expect_conversions(todos[model].passes, progress_);
      expect_retrainings(context(plan_.models[model]), todos[model].retrainings);
      expect_measurements(context(plan_.models[model]), todos[model].measurements);
    }
    for (size_t model = 0; model < todos.size(); ++model) run_model(plan_.models[model], todos[model]);
  }

 private:
  StageContext context(const PlannedModel& model) { return {plan_, model, store_, artifacts_, progress_}; }

  void run_model(const PlannedModel& model, SweepTodo& todo) {
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
  SweepOutcome& outcome_;
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
                       SweepProgress& progress, const std::set<std::string>* only) {
  SweepOutcome outcome;
  const std::vector<SweepTodo> todos = missing_cells(plan, store, artifacts, progress, outcome, only);
  SerialRun(plan, store, artifacts, progress, outcome).run(todos);
  return outcome;
}

SweepOutcome run_cells(const SweepPlan& plan, const std::set<std::string>& keys, ResultStore& store,
                       const ArtifactFolder& artifacts, SweepProgress& progress) {
  SweepOutcome outcome;
  SerialRun(plan, store, artifacts, progress, outcome).run(cells_of_keys(plan, keys));
  return outcome;
}

}  // namespace moebench
