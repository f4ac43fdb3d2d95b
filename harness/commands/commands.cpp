#include "harness/commands/commands.h"

namespace moebench {

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {
      {"run", "a sweep: whatever is missing, then the comparison table", define_run},
      {"plan", "the cells of a sweep and their state, nothing executed", define_plan},
      {"report", "the comparison table of a database", define_report},
      {"methods", "the conversion methods, with their options", define_methods},
      {"tasks", "the measurements, with their options", define_tasks},
  };
  return table;
}

}  // namespace moebench
