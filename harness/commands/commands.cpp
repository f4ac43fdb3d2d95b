#include "harness/commands/commands.h"

namespace moebench {

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {
      {"methods", "the conversion methods, with their options", define_methods},
      {"tasks", "the measurements, with their options", define_tasks},
  };
  return table;
}

}  // namespace moebench
