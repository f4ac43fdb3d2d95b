#include "harness/pipeline/sweep_jobs.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <thread>

#include <fmt/format.h>

#include "harness/atomic_file.h"
#include "harness/error.h"
#include "harness/interrupt.h"
#include "harness/pipeline/job_list.h"
#include "harness/pipeline/job_pool.h"
#include "harness/pipeline/run_record.h"
#include "harness/pipeline/sweep_units.h"

namespace moebench {
namespace {

constexpr int kUsage = 2, kRunFailed = 4, kTryAgain = 75;
constexpr int kMostTries = 3;
constexpr double kPauseSeconds = 2;  // before the second try; twice as long before the next

enum class UnitState { kWaiting, kRunning, kEnded };

struct UnitRun {
  SweepUnit unit;
  UnitState state = UnitState::kWaiting;
  int tries = 0;
  double not_before = 0;  // seconds since the epoch
};

std::string how_it_ended(const JobEnd& end, const std::filesystem::path& log, double timeout_seconds) {
  if (end.timed_out) return fmt::format("stopped after {:.0f} s (--cell-timeout)", timeout_seconds);
  if (end.exit_code == 128 + SIGKILL) return "its process was killed, as a system short of memory does";
  if (end.exit_code > 128) return fmt::format("its process was ended by signal {}", end.exit_code - 128);
  return fmt::format("its process ended with exit code {}: {}", end.exit_code, last_line(log));
}

class JobsRun {
 public:
  JobsRun(const SweepPlan& plan, ResultStore& store, const ArtifactFolder& artifacts, const JobOptions& options,
          SweepProgress& progress)
      : plan_(plan),
        store_(store),
        artifacts_(artifacts),
        options_(options),
        progress_(progress),
        jobs_(artifacts.jobs_folder()) {}

  SweepOutcome run() {
    const std::vector<SweepTodo> todos = missing_cells(plan_, store_, artifacts_, progress_, outcome_);
    before_ = RecordedCells(store_.runs());
    for (SweepUnit& unit : sweep_units(plan_, todos)) {
      // Marks that a retraining had reached when it was interrupted.
      outcome_.reused += static_cast<int64_t>(
          std::erase_if(unit.cells, [&](const SweepCell* cell) { return before_.completed(cell->key()) != nullptr; }));
      num_cells_ += static_cast<int64_t>(unit.cells.size());
      units_.push_back({std::move(unit)});
    }
    failed_before_ = outcome_.failed;
    try {
      while (start_what_can_be() || pool_.num_running() > 0) {
        throw_if_interrupted();
        if (const auto end = pool_.wait(0.2)) finish(*end);
        // What is left waits for its next try.
        if (pool_.num_running() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(20));
      }
    } catch (const Interrupted&) {
      pool_.send(SIGTERM);
      while (pool_.num_running() > 0) pool_.wait(1);
      throw;
    }
    if (gave_up_) throw TryAgainError("some cells could not be done now: " + *gave_up_);
    return outcome_;
  }

 private:
  // Whether any unit is still to be started, now or later.
  bool start_what_can_be() {
    bool any_waiting = false;
    for (size_t index = 0; index < units_.size(); ++index) {
      UnitRun& run = units_[index];
      if (run.state != UnitState::kWaiting) continue;
      if (stops_ && !options_.keep_going) {
        run.state = UnitState::kEnded;
        continue;
      }
      any_waiting = true;
      if (static_cast<int64_t>(pool_.num_running()) >= options_.num_jobs) continue;
      const bool can_be = std::all_of(run.unit.needs.begin(), run.unit.needs.end(),
                                      [&](size_t need) { return units_[need].state == UnitState::kEnded; });
      if (can_be && run.not_before <= seconds_since_epoch()) start(index);
    }
    return any_waiting;
  }

  std::filesystem::path file_of(const SweepUnit& unit, const char* ending) const {
    constexpr size_t kShownKey = 16;
    return artifacts_.jobs_folder() / (unit.cells.front()->key().substr(0, kShownKey) + ending);
  }

  void start(size_t index) {
    UnitRun& run = units_[index];
    const std::filesystem::path cells = file_of(run.unit, ".cells"), log = file_of(run.unit, ".log");
    AtomicFile file(cells);
    for (const SweepCell* cell : run.unit.cells) file.write(cell->key() + "\n");
    file.commit();
    pool_.start(index, {options_.command(cells), log, options_.cell_timeout_seconds});
    run.state = UnitState::kRunning;
    jobs_.add(index, {run.unit.label, log, seconds_since_epoch()});
    progress_.note("started: " + run.unit.label);
  }

  // What was recorded of the cell since the sweep began, but for failures that it began with.
  CellState state_of(const SweepCell& cell, const RecordedCells& recorded) const {
    const RunRecord* run = recorded.find(cell.key());
    const RunRecord* old = before_.find(cell.key());
    if (run != nullptr && old != nullptr && run->uuid == old->uuid) return CellState::kMissing;
    return recorded.state(cell.key());
  }

  void finish(const JobEnd& end) {
    UnitRun& run = units_[end.id];
    jobs_.remove(end.id);
    const RecordedCells recorded(store_.runs());
    std::vector<const SweepCell*> failed, left;
    for (const SweepCell* cell : run.unit.cells) {
      const CellState state = state_of(*cell, recorded);
      if (state == CellState::kDone) ++outcome_.computed;
      if (state == CellState::kFailed) failed.push_back(cell);
      if (state == CellState::kMissing) left.push_back(cell);
    }
    for (const SweepCell* cell : failed) count_failure(*cell);
    const std::filesystem::path log = file_of(run.unit, ".log");
    std::filesystem::remove(file_of(run.unit, ".cells"));
    const bool ended_well = end.exit_code == 0 || end.exit_code == kRunFailed;
    if (left.empty() || (ended_well && !failed.empty())) {  // a failed retraining leaves its marks
      run.state = UnitState::kEnded;
      for (const SweepCell* cell : left) leave_out_what_is_made_of(*cell);
      progress_.note(fmt::format("[{}] {} after {}: {}", how_far(), failed.empty() ? "done" : "failed",
                                 duration_text(end.seconds), run.unit.label));
    } else if (end.exit_code == kTryAgain) {
      try_again(run, std::move(left), last_line(log));
    } else if (end.exit_code == kUsage) {
      throw std::invalid_argument(last_line(log));
    } else {
      blame(end.id, std::move(left), how_it_ended(end, log, options_.cell_timeout_seconds));
    }
  }

  // At the pace so far, which is rough: cells of one kind come after those of another.
  std::string how_far() const {
    const int64_t ended = outcome_.computed + outcome_.failed - failed_before_;
    const double pace = (seconds_since_epoch() - began_) / static_cast<double>(std::max<int64_t>(1, ended));
    const auto left = static_cast<double>(std::max<int64_t>(0, num_cells_ - ended));
    return fmt::format("{}/{} cells, ETA {}", ended, num_cells_, duration_text(pace * left));
  }

  void try_again(UnitRun& run, std::vector<const SweepCell*> left, const std::string& why) {
    run.unit.cells = std::move(left);
    if (++run.tries >= kMostTries) {
      run.state = UnitState::kEnded;
      gave_up_ = why;
      for (const SweepCell* cell : run.unit.cells) leave_out_what_is_made_of(*cell);
      return;
    }
    run.state = UnitState::kWaiting;
    run.not_before = seconds_since_epoch() + kPauseSeconds * run.tries;
    progress_.note("trying again in a moment: " + run.unit.label);
  }

  // The first that was not recorded is the one that was being done; those behind it are still to be done. But a pass of
  // several conversions makes all of them together: they are then converted one by one. And a retraining makes its
  // marks one after the other, of which the last is the one that was wanted.
  void blame(size_t index, std::vector<const SweepCell*> left, const std::string& error) {
    UnitRun& run = units_[index];
    const std::string& stage = left.front()->stage;
    if (stage == "convert" && run.unit.cells.size() > 1) return do_one_by_one(index, left);
    const SweepCell& blamed = stage == "retrain" ? *left.back() : *left.front();
    const StageContext context{plan_, plan_.models[run.unit.model], store_, artifacts_, progress_};
    add_failed_run(context, blamed, seconds_since_epoch(), error);
    count_failure(blamed);
    if (stage == "retrain") {
      for (const SweepCell* cell : left) leave_out_what_is_made_of(*cell);
      left.clear();
    } else {
      left.erase(left.begin());
    }
    run.state = left.empty() ? UnitState::kEnded : UnitState::kWaiting;
    if (!left.empty()) run.unit.cells = std::move(left);
  }

  void count_failure(const SweepCell& cell) {
    ++outcome_.failed;
    stops_ = true;
    leave_out_what_is_made_of(cell);
  }

  // It is not recorded: nobody tried.
  void leave_out_what_is_made_of(const SweepCell& source) {
    for (UnitRun& run : units_) {
      if (run.state == UnitState::kWaiting && is_made_of(*run.unit.cells.front(), source))
        run.state = UnitState::kEnded;
    }
  }

  void do_one_by_one(size_t together, const std::vector<const SweepCell*>& left) {
    const size_t model = units_[together].unit.model, first = units_.size();
    units_[together].state = UnitState::kEnded;
    for (UnitRun& run : units_) {
      for (size_t index = 0; index < left.size(); ++index) {
        if (is_made_of(*run.unit.cells.front(), *left[index])) run.unit.needs.push_back(first + index);
      }
    }
    for (const SweepCell* cell : left) units_.push_back({{.label = cell->label, .model = model, .cells = {cell}}});
  }

  static bool is_made_of(const SweepCell& cell, const SweepCell& source) {
    return std::find(cell.made_of.begin(), cell.made_of.end(), source.key()) != cell.made_of.end();
  }

  const SweepPlan& plan_;
  ResultStore& store_;
  const ArtifactFolder& artifacts_;
  const JobOptions& options_;
  SweepProgress& progress_;
  RecordedCells before_{{}};
  JobList jobs_;
  JobPool pool_;
  std::vector<UnitRun> units_;
  SweepOutcome outcome_;
  const double began_ = seconds_since_epoch();
  int64_t num_cells_ = 0, failed_before_ = 0;  // failed_before_: recorded at once, for they cannot be done
  bool stops_ = false;                         // a cell has failed
  std::optional<std::string> gave_up_;         // why
};

}  // namespace

SweepOutcome run_sweep_in_jobs(const SweepPlan& plan, ResultStore& store, const ArtifactFolder& artifacts,
                               const JobOptions& options, SweepProgress& progress) {
  return JobsRun(plan, store, artifacts, options, progress).run();
}

}  // namespace moebench
