// moebench run: a sweep, from whatever is missing to the comparison table.
#include <cstdio>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "harness/commands/command_line.h"
#include "harness/commands/commands.h"
#include "harness/commands/sweep_arguments.h"
#include "harness/commands/terminal_progress.h"
#include "harness/interrupt.h"
#include "harness/pipeline/run_record.h"
#include "harness/pipeline/sweep_run.h"
#include "results/comparison.h"
#include "results/render.h"

namespace moebench {
namespace {

constexpr int kRunFailed = 4;

// The table of this sweep's cells alone, whatever else the database holds.
std::string table_of(const SweepPlan& plan, const ResultStore& store) {
  std::set<std::string> keys;
  for (const PlannedModel& model : plan.models) {
    for (const PlannedConversion& conversion : model.conversions) keys.insert(conversion.cell.key());
    for (const PlannedRetraining& retraining : model.retrainings) {
      for (const SweepCell& cell : retraining.cells) keys.insert(cell.key());
    }
    for (const PlannedMeasurement& measurement : model.measurements) keys.insert(measurement.cell.key());
  }
  std::vector<RunRecord> runs = store.runs();
  std::erase_if(runs, [&](const RunRecord& run) { return !keys.contains(run.cell_key); });
  return render_markdown(compare_runs(runs), {.command = this_command_line()});
}

int run_sweep_file(const SweepArguments& arguments) {
  const SweepSpec spec = read_sweep(arguments);
  const std::filesystem::path database = database_path(arguments, spec);
  read_recorded(database);                  // refuses an unusable database before the weights are hashed
  const SweepPlan plan = plan_sweep(spec);  // refuses an unusable sweep before anything is written
  ArtifactFolder artifacts(database);
  artifacts.lock();
  ResultStore store(database, ResultStore::Mode::kReadWrite);
  store.set_context(this_machine(), this_build());

  SweepOutcome outcome;
  {
    SweepProgress progress = terminal_progress();
    outcome = run_sweep(plan, store, artifacts, progress);
  }
  fmt::print(stderr, "{} cells computed, {} reused, {} failed; results in {}\n", outcome.computed, outcome.reused,
             outcome.failed, database.string());
  std::fputs(table_of(plan, store).c_str(), stdout);
  return outcome.failed > 0 ? kRunFailed : 0;
}

int run_until_interrupted(const SweepArguments& arguments) {
  handle_interrupts();
  try {
    return run_sweep_file(arguments);
  } catch (const Interrupted&) {
    fmt::print(stderr, "interrupted; what was done is kept: the same command goes on from here\n");
    throw;
  }
}

}  // namespace

std::function<int()> define_run(CLI::App& command) {
  struct Arguments {
    SweepArguments sweep;
    bool dry_run = false;
  };
  auto arguments = std::make_shared<Arguments>();
  add_sweep_arguments(command, arguments->sweep);
  command.footer(
      "Stopped at any moment, the same command goes on where it was. A cell that fails is a row with its reason, "
      "tried\n"
      "again by the next run; the exit code is then 4.\n\n"
      "  moebench run sweeps/quickstart.toml --set 'seeds=[0]' --db first.sqlite");
  command.add_flag("--dry-run", arguments->dry_run, "only say what would be done, as `plan` does");
  return [arguments] {
    if (!arguments->dry_run) return run_until_interrupted(arguments->sweep);
    const SweepSpec spec = read_sweep(arguments->sweep);
    std::fputs(describe_plan(plan_sweep(spec), database_path(arguments->sweep, spec), false).c_str(), stdout);
    return 0;
  };
}

}  // namespace moebench
