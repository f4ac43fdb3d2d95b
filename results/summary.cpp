#include "results/summary.h"

#include <array>
#include <fstream>
#include <string_view>

#include "results/cell_text.h"
#include "results/database.h"

namespace moebench {
namespace {

std::vector<std::string> texts(const Database& database, const char* sql) {
  Statement row(database, sql);
  std::vector<std::string> found;
  while (row.step()) found.push_back(one_line(row.text(0)));
  return found;
}

std::string line(const std::string& name, const std::string& value) {
  return value.empty() ? "" : name + ": " + value + "\n";
}

}  // namespace

StoreSummary read_summary(const Database& database) {
  const Transaction transaction(database, Transaction::Kind::kRead);
  StoreSummary summary;
  summary.schema_version = database.integer("PRAGMA user_version");
  summary.num_items = database.integer("SELECT count(*) FROM item");
  Statement row(database, "SELECT stage, status, count(*) FROM run GROUP BY stage, status");
  while (row.step()) summary.runs[{one_line(row.text(0)), row.text(1)}] = row.integer(2);
  summary.models = texts(database,
                         "SELECT DISTINCT json ->> '$.model' AS name FROM config WHERE json_valid(json) "
                         "AND name IS NOT NULL ORDER BY name");
  summary.methods = texts(database,
                          "SELECT DISTINCT json ->> '$.method' AS name FROM config WHERE json_valid(json) "
                          "AND name IS NOT NULL ORDER BY name");
  summary.metrics =
      texts(database, "SELECT DISTINCT metric FROM series WHERE metric NOT LIKE '%/layer-%' ORDER BY metric");
  summary.machine_classes = texts(database, "SELECT DISTINCT class FROM machine ORDER BY class");
  return summary;
}

std::string to_text(const StoreSummary& summary) {
  std::string text = "moebench results database, schema version " + std::to_string(summary.schema_version) + "\n";
  if (summary.runs.empty()) text += "no runs yet\n";
  for (const auto& [kind, count] : summary.runs) {
    text += line(kind.first + " runs " + kind.second, std::to_string(count));
  }
  text += line("items", std::to_string(summary.num_items));
  text += line("models", join(summary.models, ", "));
  text += line("methods", join(summary.methods, ", "));
  text += line("metrics", join(summary.metrics, ", "));
  return text + line("machines", join(summary.machine_classes, "; "));
}

bool is_database_file(const std::string& path) {
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  std::array<char, 16> start{};
  std::ifstream(path, std::ios::binary).read(start.data(), start.size());
  return std::string_view(start.data(), start.size()) == kMagic;
}

}  // namespace moebench
