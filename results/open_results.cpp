#include "results/open_results.h"

#include "results/schema.h"

namespace moebench {

Database open_results(const std::filesystem::path& path, OpenMode mode, std::chrono::milliseconds lock_timeout) {
  Database database(path, mode, lock_timeout);
  if (mode == OpenMode::kReadWrite) migrate(database, migrations());
  check_schema(database, migrations());
  return database;
}

bool is_unwritten(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) {
    if (error) throw std::runtime_error(path.string() + ": cannot be read (" + error.message() + ")");
    return true;
  }
  return Database(path, OpenMode::kReadOnly, std::chrono::seconds(30)).integer("PRAGMA schema_version") == 0;
}

}  // namespace moebench
