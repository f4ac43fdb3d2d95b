#include "results/database_check.h"

#include <stdexcept>

#include "results/cell_text.h"
#include "results/database_export.h"

namespace moebench {
namespace {

void check_pages(const Database& database, DatabaseCheck& check) {
  for (Statement row(database, "PRAGMA integrity_check(20)"); row.step();) {
    if (row.text(0) != "ok") check.problems.push_back(one_line("damaged: " + row.text(0)));
  }
}

void check_references(const Database& database, DatabaseCheck& check) {
  constexpr size_t kShown = 20;
  for (Statement row(database, "PRAGMA foreign_key_check"); row.step() && check.problems.size() < kShown;) {
    check.problems.push_back(
        one_line("a row of '" + row.text(0) + "' refers to one of '" + row.text(2) + "' that is not there"));
  }
}

// Every metric has a value and what it is computed of; every completed cell is there once.
void check_metrics(const Database& database, DatabaseCheck& check) {
  const int64_t without_stat =
      database.integer("SELECT count(*) FROM sample LEFT JOIN stat USING(run_id, series_id) WHERE stat.run_id IS NULL");
  const int64_t without_sample = database.integer(
      "SELECT count(*) FROM stat LEFT JOIN sample USING(run_id, series_id) WHERE sample.run_id IS NULL");
  if (without_stat + without_sample == 0) return;
  check.problems.push_back(std::to_string(without_stat + without_sample) +
                           " metrics have a sample without a stat, or a stat without a sample");
}

// Left behind by runs that were done anew; merging into a new database leaves them out.
void note_unused(const Database& database, DatabaseCheck& check) {
  const std::pair<const char*, const char*> kOwners[] = {
      {"config", "SELECT count(*) FROM config WHERE id NOT IN (SELECT config_id FROM run)"},
      {"build", "SELECT count(*) FROM build WHERE id NOT IN (SELECT build_id FROM run)"},
      {"machine", "SELECT count(*) FROM machine WHERE id NOT IN (SELECT machine_id FROM run)"},
      {"dataset",
       "SELECT count(*) FROM dataset WHERE id NOT IN (SELECT dataset_id FROM run WHERE dataset_id IS NOT NULL)"},
      {"series", "SELECT count(*) FROM series WHERE id NOT IN (SELECT series_id FROM stat)"}};
  for (const auto& [table, sql] : kOwners) {
    if (const int64_t unused = database.integer(sql); unused > 0) {
      check.notes.push_back(std::to_string(unused) + " rows of '" + table + "' that no run refers to");
    }
  }
}

void note_missing_files(const Database& database, DatabaseCheck& check) {
  int64_t missing = 0;
  for (Statement row(database, "SELECT path FROM artifact"); row.step();) {
    std::error_code ignored;
    missing += std::filesystem::exists(database.path().parent_path() / row.text(0), ignored) ? 0 : 1;
  }
  if (missing == 0) return;
  check.notes.push_back(
      std::to_string(missing) +
      " files of conversions that are not beside the database; `moebench run` makes them again where it needs them");
}

}  // namespace

DatabaseCheck check_database(const Database& database) {
  DatabaseCheck check;
  check_pages(database, check);
  check_references(database, check);
  if (!check.problems.empty()) return check;
  check_metrics(database, check);
  check.schema_version = database.integer("PRAGMA user_version");
  check.runs = database.integer("SELECT count(*) FROM run");
  check.failed_runs = database.integer("SELECT count(*) FROM run WHERE status = 'failed'");
  check.items = database.integer("SELECT count(*) FROM item");
  check.baselines = database.integer("SELECT count(DISTINCT name) FROM baseline");
  note_unused(database, check);
  note_missing_files(database, check);
  try {
    check.content_hash = database_content_hash(database);
  } catch (const std::runtime_error& error) {
    check.problems.push_back(error.what());
  }
  return check;
}

}  // namespace moebench
