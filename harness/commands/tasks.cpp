// tasks: the measurements, with their options.
#include "harness/task.h"

#include "harness/commands/commands.h"
#include "harness/commands/listing.h"

namespace moebench {

std::function<int()> define_tasks(CLI::App& command) {
  return define_listing(command, [] {
    std::vector<ListedName> listed;
    for (const std::string& name : TaskRegistry::instance().names()) {
      const TaskRegistry::Entry& entry = TaskRegistry::instance().find(name);
      listed.push_back({entry.name, entry.summary, entry.options});
    }
    return listed;
  });
}

}  // namespace moebench
