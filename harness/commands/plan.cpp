// moebench plan: the cells of a sweep and their state, nothing executed.
#include <cstdio>
#include <memory>

#include "harness/commands/commands.h"
#include "harness/commands/sweep_arguments.h"

namespace moebench {

std::function<int()> define_plan(CLI::App& command) {
  struct Arguments {
    SweepArguments sweep;
    bool why = false;
  };
  auto arguments = std::make_shared<Arguments>();
  add_sweep_arguments(command, arguments->sweep);
  command.add_flag("--why", arguments->why,
                   "say for each cell why it is done or not: the run, or the field that differs");
  return [arguments] {
    const SweepSpec spec = read_sweep(arguments->sweep);
    const std::filesystem::path database = database_path(arguments->sweep, spec);
    read_recorded(database);  // refuses an unusable database before the weights are hashed
    std::fputs(describe_plan(plan_sweep(spec), database, arguments->why).c_str(), stdout);
    return 0;
  };
}

}  // namespace moebench
