#include "results/open_results.h"

#include "results/schema.h"

namespace moebench {

Database open_results(const std::filesystem::path& path, OpenMode mode, std::chrono::milliseconds lock_timeout) {
  Database database(path, mode, lock_timeout);
  if (mode == OpenMode::kReadWrite) migrate(database, migrations());
  check_schema(database, migrations());
  return database;
}

}  // namespace moebench
