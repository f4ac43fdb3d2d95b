// What a database holds, for `moebench inspect`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace moebench {

class Database;

struct StoreSummary {
  int64_t schema_version = 0;
  std::map<std::pair<std::string, std::string>, int64_t> runs;  // by stage and status
  int64_t num_items = 0;
  std::vector<std::string> models;   // names, as the runs' configs give them
  std::vector<std::string> methods;  // likewise
  std::vector<std::string> metrics;  // without the layers' own
  std::vector<std::string> machine_classes;
};

StoreSummary read_summary(const Database& database);

// Lines for people; every line ends.
std::string to_text(const StoreSummary& summary);

// Whether the file begins as SQLite files do. Never throws.
bool is_database_file(const std::string& path);

}  // namespace moebench
