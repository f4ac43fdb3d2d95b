#include "harness/commands/commands.h"

namespace moebench {

const std::vector<Command>& commands() {
  static const std::vector<Command> table = {};
  return table;
}

}  // namespace moebench
