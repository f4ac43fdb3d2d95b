// Is a results database whole, and what is in it?
#pragma once

#include <string>
#include <vector>

#include "results/database.h"

namespace moebench {

struct DatabaseCheck {
  int64_t schema_version = 0, runs = 0, failed_runs = 0, items = 0, baselines = 0;
  std::string content_hash;           // see results/database_export.h; "" where there are problems
  std::vector<std::string> problems;  // a sentence each: damaged pages, rows that refer to nothing, unreadable runs
  std::vector<std::string> notes;     // rows that nothing refers to, files that are gone; harmless
};

// database: opened with the current schema. Throws as Database::check_code does where not even that can be found out.
DatabaseCheck check_database(const Database& database);

}  // namespace moebench
