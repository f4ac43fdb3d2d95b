// moebench status: how far a sweep is, and what its processes are at.
#include <unistd.h>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <thread>

#include <fmt/format.h>

#include "harness/commands/commands.h"
#include "harness/commands/sweep_arguments.h"
#include "harness/pipeline/job_list.h"
#include "harness/pipeline/plan_status.h"
#include "harness/pipeline/progress.h"
#include "harness/pipeline/run_record.h"

namespace moebench {
namespace {

constexpr const char* kStages[] = {"convert", "retrain", "measure"};

struct StageCount {
  int64_t done = 0, missing = 0, failed = 0, blocked = 0;
  double seconds = 0;  // of those that are done

  int64_t all() const { return done + missing + failed + blocked; }
};

std::map<std::string, StageCount> count_stages(const std::vector<SweepCellStatus>& cells,
                                               const RecordedCells& recorded) {
  std::map<std::string, StageCount> stages;
  for (const SweepCellStatus& status : cells) {
    StageCount& stage = stages[status.cell->stage];
    if (status.state == CellState::kDone) {
      const RunRecord& run = *recorded.completed(status.cell->key());
      stage.seconds += run.ended - run.started;
    }
    ++(status.state == CellState::kDone      ? stage.done
       : status.state == CellState::kMissing ? stage.missing
       : status.state == CellState::kFailed  ? stage.failed
                                             : stage.blocked);
  }
  return stages;
}

// "about 1:02:03 of work left", by what cells of each stage took so far.
std::string remaining_text(const std::map<std::string, StageCount>& stages) {
  double seconds = 0;
  bool any_known = false, any_unknown = false;
  for (const auto& [name, stage] : stages) {
    if (stage.missing == 0) continue;
    (stage.done > 0 ? any_known : any_unknown) = true;
    if (stage.done > 0) seconds += stage.seconds / static_cast<double>(stage.done) * static_cast<double>(stage.missing);
  }
  if (!any_known)
    return any_unknown ? "nothing like what is missing has been done, so its time is unknown" : "nothing is missing";
  return (any_unknown ? "more than " : "about ") + duration_text(seconds) + " of work left";
}

// What a process last said, and how long ago.
std::string sign_of_life(const std::filesystem::path& log) {
  std::string last = last_line(log);
  if (last.empty()) last = "nothing said yet";
  std::error_code error;
  const auto written = std::filesystem::last_write_time(log, error);
  if (error) return last;
  const double age = std::chrono::duration<double>(std::filesystem::file_time_type::clock::now() - written).count();
  return fmt::format("{} ago: {}", duration_text(age), last);
}

std::string describe(const SweepPlan& plan, const std::filesystem::path& database, const ArtifactFolder& artifacts) {
  const RecordedCells recorded = read_recorded(database);
  const std::vector<SweepCellStatus> cells = cell_statuses(plan, recorded, artifacts);
  std::map<std::string, StageCount> stages = count_stages(cells, recorded);
  const bool is_at_work = artifacts.is_locked();
  std::string text = fmt::format("{} in {}: {}\n\n{:<10}{:>8}{:>9}{:>8}{:>9}\n", plan.spec.name, database.string(),
                                 is_at_work ? "a sweep is at work" : "no sweep is at work", "", "done", "missing",
                                 "failed", "blocked");
  for (const char* name : kStages) {
    const StageCount& stage = stages[name];
    if (stage.all() == 0) continue;
    text += fmt::format("{:<10}{:>8}{:>9}{:>8}{:>9}\n", name, stage.done, stage.missing, stage.failed, stage.blocked);
  }
  text += "\n" + remaining_text(stages) + "\n";
  if (is_at_work) {
    for (const RunningJob& job : JobList::read(artifacts.jobs_folder())) {
      text += fmt::format("\nrunning for {}: {}\n  {}\n", duration_text(seconds_since_epoch() - job.started), job.label,
                          sign_of_life(job.log));
    }
  }
  for (const SweepCellStatus& status : cells) {
    if (status.state != CellState::kFailed) continue;
    text += fmt::format("\nfailed: {}\n  {}\n", status.cell->label, status.reason);
  }
  return text;
}

}  // namespace

std::function<int()> define_status(CLI::App& command) {
  struct Arguments {
    SweepArguments sweep;
    bool watches = false;
  };
  auto arguments = std::make_shared<Arguments>();
  add_sweep_arguments(command, arguments->sweep);
  command.add_flag("--watch", arguments->watches, "again every two seconds, as long as a sweep is at work");
  return [arguments] {
    const SweepSpec spec = read_sweep(arguments->sweep);
    const std::filesystem::path database = database_path(arguments->sweep, spec);
    const SweepPlan plan = plan_sweep(spec);
    const ArtifactFolder artifacts(database);
    const bool is_terminal = isatty(STDOUT_FILENO) == 1;
    for (;;) {
      const std::string text = describe(plan, database, artifacts);
      std::fputs(((arguments->watches && is_terminal ? "\033[H\033[2J" : "") + text).c_str(), stdout);
      std::fflush(stdout);
      if (!arguments->watches || !artifacts.is_locked()) return 0;
      std::this_thread::sleep_for(std::chrono::seconds(2));
    }
  };
}

}  // namespace moebench
