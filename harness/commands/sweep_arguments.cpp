#include "harness/commands/sweep_arguments.h"

#include "harness/commands/data_folder.h"
#include "harness/pipeline/plan_status.h"
#include "results/open_results.h"

namespace moebench {

void add_sweep_arguments(CLI::App& command, SweepArguments& arguments) {
  command.add_option("sweep", arguments.sweep_file, "the sweep file, as in sweeps/quickstart.toml")
      ->required()
      ->type_name("FILE");
  command
      .add_option("--set", arguments.settings,
                  "change a value of the sweep file: calibration.windows=4, methods.cmoe.options.score=paper")
      ->allow_extra_args(false);
  add_data_option(command, arguments.data_folder);
  command.add_option("--db", arguments.database, "results database (default: <name of the sweep>.sqlite)")
      ->type_name("FILE");
}

SweepSpec read_sweep(const SweepArguments& arguments) {
  use_data_folder(arguments.data_folder);
  return read_sweep_spec(arguments.sweep_file, arguments.settings);
}

std::filesystem::path database_path(const SweepArguments& arguments, const SweepSpec& spec) {
  return arguments.database.empty() ? spec.name + ".sqlite" : arguments.database;
}

RecordedCells read_recorded(const std::filesystem::path& database) {
  if (is_unwritten(database)) return RecordedCells({});
  return RecordedCells(ResultStore(database, ResultStore::Mode::kReadOnly).runs());
}

std::string describe_plan(const SweepPlan& plan, const std::filesystem::path& database, bool why) {
  const RecordedCells recorded = read_recorded(database);
  return list_cells(cell_statuses(plan, recorded, ArtifactFolder(database)), recorded, why);
}

}  // namespace moebench
