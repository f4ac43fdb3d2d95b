// moebench run: a sweep, from whatever is missing to the comparison table.
#include <sys/prctl.h>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include <ATen/Parallel.h>
#include <fmt/format.h>

#include "harness/commands/command_line.h"
#include "harness/commands/commands.h"
#include "harness/commands/program.h"
#include "harness/commands/sweep_arguments.h"
#include "harness/commands/terminal_progress.h"
#include "harness/interrupt.h"
#include "harness/pipeline/run_record.h"
#include "harness/pipeline/sweep_jobs.h"
#include "harness/pipeline/sweep_run.h"
#include "results/comparison.h"
#include "results/render.h"

namespace moebench {
namespace {

std::set<std::string> keys_of(const SweepPlan& plan) {
  std::set<std::string> keys;
  for (const PlannedModel& model : plan.models) {
    for (const PlannedConversion& conversion : model.conversions) keys.insert(conversion.cell.key());
    for (const PlannedRetraining& retraining : model.retrainings) {
      for (const SweepCell& cell : retraining.cells) keys.insert(cell.key());
    }
    for (const PlannedMeasurement& measurement : model.measurements) keys.insert(measurement.cell.key());
  }
  return keys;
}

// One a line.
std::set<std::string> read_keys(const std::string& path, const SweepPlan& plan) {
  std::ifstream file(path);
  std::set<std::string> keys;
  for (std::string key; std::getline(file, key);) keys.insert(key);
  if (!file.eof()) throw std::runtime_error(path + ": cannot be read");
  const std::set<std::string> known = keys_of(plan);
  if (!std::includes(known.begin(), known.end(), keys.begin(), keys.end())) {
    throw std::invalid_argument(path + ": names cells that the sweep does not have; it, its model or its texts were " +
                                "changed since the file was written");
  }
  return keys;
}

// The table of this sweep's cells alone, whatever else the database holds.
std::string table_of(const SweepPlan& plan, const ResultStore& store) {
  const std::set<std::string> keys = keys_of(plan);
  std::vector<RunRecord> runs = store.runs();
  std::erase_if(runs, [&](const RunRecord& run) { return !keys.contains(run.cell_key); });
  return render_markdown(compare_runs(runs), {.command = this_command_line()});
}

struct RunArguments {
  SweepArguments sweep;
  bool dry_run = false;
  int64_t num_jobs = 0;  // 0: in this process
  double cell_timeout_seconds = 0;
  bool keep_going = true;
  std::string cells_file;  // of a process that works for another
  std::string only_file;   // of a task of a job array
};

int64_t cores() { return std::max<int64_t>(1, std::thread::hardware_concurrency()); }

// This program, for the cells of a file.
std::vector<std::string> command_for(const RunArguments& arguments, const std::filesystem::path& database,
                                     const std::filesystem::path& cells_file) {
  std::vector<std::string> command = {std::filesystem::read_symlink("/proc/self/exe").string(), "run",
                                      arguments.sweep.sweep_file};
  for (const std::string& setting : arguments.sweep.settings) command.insert(command.end(), {"--set", setting});
  if (!arguments.sweep.data_folder.empty()) command.insert(command.end(), {"--data", arguments.sweep.data_folder});
  const int64_t threads = std::max<int64_t>(1, at::get_num_threads() / arguments.num_jobs);
  command.insert(command.end(),
                 {"--db", database.string(), "--threads", std::to_string(threads), "--cells", cells_file.string()});
  return command;
}

SweepOutcome run_missing(const SweepPlan& plan, const RunArguments& arguments, const std::filesystem::path& database,
                         ResultStore& store, const ArtifactFolder& artifacts) {
  SweepProgress progress = terminal_progress();
  if (!arguments.only_file.empty()) {
    const std::set<std::string> only = read_keys(arguments.only_file, plan);
    return run_sweep(plan, store, artifacts, progress, &only);
  }
  if (arguments.num_jobs == 0) return run_sweep(plan, store, artifacts, progress);
  const JobOptions options{
      .num_jobs = arguments.num_jobs,
      .cell_timeout_seconds = arguments.cell_timeout_seconds,
      .keep_going = arguments.keep_going,
      .command = [&](const std::filesystem::path& cells_file) { return command_for(arguments, database, cells_file); }};
  return run_sweep_in_jobs(plan, store, artifacts, options, progress);
}

int run_sweep_file(const RunArguments& arguments) {
  const SweepSpec spec = read_sweep(arguments.sweep);
  const std::filesystem::path database = database_path(arguments.sweep, spec);
  read_recorded(database);                  // refuses an unusable database before the weights are hashed
  const SweepPlan plan = plan_sweep(spec);  // refuses an unusable sweep before anything is written
  ArtifactFolder artifacts(database);
  artifacts.lock();
  ResultStore store(database, ResultStore::Mode::kReadWrite);
  store.set_context(this_machine(), this_build());

  const SweepOutcome outcome = run_missing(plan, arguments, database, store, artifacts);
  fmt::print(stderr, "{} cells computed, {} reused, {} failed; results in {}\n", outcome.computed, outcome.reused,
             outcome.failed, database.string());
  std::fputs(table_of(plan, store).c_str(), stdout);
  return outcome.failed > 0 ? kRunFailed : 0;
}

// For the process that started this one, which has the lock, checks the plan, and shows the table.
int run_cells_file(const RunArguments& arguments) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);  // nobody would read what an orphan finds
  const SweepSpec spec = read_sweep(arguments.sweep);
  const std::filesystem::path database = database_path(arguments.sweep, spec);
  const SweepPlan plan = plan_sweep(spec);
  ResultStore store(database, ResultStore::Mode::kReadWrite);
  store.set_context(this_machine(), this_build());
  SweepProgress progress = terminal_progress();
  return run_cells(plan, read_keys(arguments.cells_file, plan), store, ArtifactFolder(database), progress).failed > 0
             ? kRunFailed
             : 0;
}

int run_until_interrupted(const RunArguments& arguments) {
  handle_interrupts();
  try {
    return arguments.cells_file.empty() ? run_sweep_file(arguments) : run_cells_file(arguments);
  } catch (const Interrupted&) {
    fmt::print(stderr, "interrupted; what was done is kept: the same command goes on from here\n");
    throw;
  }
}

}  // namespace

std::function<int()> define_run(CLI::App& command) {
  auto arguments = std::make_shared<RunArguments>();
  add_sweep_arguments(command, arguments->sweep);
  command.footer(
      "Stopped at any moment, the same command goes on where it was. A cell that fails is a row with its reason, "
      "tried\n"
      "again by the next run; the exit code is then 4. With --jobs each cell has a process of its own, so that one "
      "that\n"
      "crashes or runs out of memory is a failed row, too; their logs are in <database>.artifacts/jobs.\n\n"
      "  moebench run sweeps/quickstart.toml --set 'seeds=[0]' --db first.sqlite\n"
      "  moebench run sweeps/methods.toml --set method=cmoe,dive --jobs 2 --cell-timeout 7200");
  command.add_flag("--dry-run", arguments->dry_run, "only say what would be done, as `plan` does");
  command.add_option("--jobs", arguments->num_jobs, "processes at a time, which share the threads")
      ->check(CLI::Range(int64_t{1}, cores()));
  command
      .add_option("--cell-timeout", arguments->cell_timeout_seconds,
                  "seconds after which a process is stopped and its cell has failed (with one job at least)")
      ->check(CLI::Range(1.0, 1e9));
  command.add_flag("--keep-going,!--fail-fast", arguments->keep_going,
                   "past a cell that failed, which is the default; --fail-fast starts no other");
  command.add_option("--cells", arguments->cells_file)->group("");
  command
      .add_option("--only", arguments->only_file, "only the cells of this file, one key a line, as `slurm` writes it")
      ->type_name("FILE")
      ->excludes("--jobs", "--cell-timeout", "--keep-going");
  return [arguments] {
    if (!arguments->dry_run) {
      const bool needs_job = arguments->cell_timeout_seconds > 0 || !arguments->keep_going;
      if (needs_job) arguments->num_jobs = std::max<int64_t>(1, arguments->num_jobs);
      return run_until_interrupted(*arguments);
    }
    const SweepSpec spec = read_sweep(arguments->sweep);
    std::fputs(describe_plan(plan_sweep(spec), database_path(arguments->sweep, spec), false).c_str(), stdout);
    return 0;
  };
}

}  // namespace moebench
