// methods: the conversion methods, with their options.
#include "harness/converter.h"

#include "harness/commands/commands.h"
#include "harness/commands/listing.h"

namespace moebench {

std::function<int()> define_methods(CLI::App& command) {
  return define_listing(command, [] {
    std::vector<ListedName> listed;
    for (const std::string& name : ConverterRegistry::instance().names()) {
      const ConverterRegistry::Entry& entry = ConverterRegistry::instance().find(name);
      listed.push_back({entry.name, entry.summary, entry.options});
    }
    return listed;
  });
}

}  // namespace moebench
