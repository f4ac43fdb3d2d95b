#include "results/baseline_rows.h"

#include <stdexcept>

namespace moebench {
namespace {

int64_t run_id(const Database& database, const std::string& uuid) {
  Statement run(database, "SELECT id FROM run WHERE uuid = ?");
  if (!run.bind(uuid).step()) throw std::invalid_argument("results: there is no run '" + uuid + "'");
  return run.integer(0);
}

int64_t series_of(const Database& database, int64_t run, const std::string& metric) {
  Statement series(database,
                   "SELECT series.id FROM stat JOIN series ON series.id = series_id WHERE run_id = ? AND metric = ?");
  if (!series.bind(run, metric).step()) throw std::invalid_argument("results: the run has no metric '" + metric + "'");
  return series.integer(0);
}

}  // namespace

void insert_baseline(const Database& database, const BaselineRecord& baseline) {
  const auto& [name, set_by, reason, at, uuids] = baseline;
  if (name.empty()) throw std::invalid_argument("results: a baseline has no name");
  Statement rows(database,
                 "INSERT INTO baseline(name, series_id, run_id, set_by, reason, at) "
                 "SELECT ?, series_id, run_id, ?, ?, ? FROM stat WHERE run_id = ? "
                 "ON CONFLICT DO UPDATE SET set_by = excluded.set_by, reason = excluded.reason, at = excluded.at "
                 "WHERE (excluded.at, excluded.set_by, excluded.reason) > (at, set_by, reason)");
  Statement metrics(database, "SELECT count(*) FROM stat WHERE run_id = ?");
  int64_t written = 0;
  for (const std::string& uuid : uuids) {
    const int64_t run = run_id(database, uuid);
    rows.bind(name, set_by, reason, at, run).run();
    metrics.bind(run).step();
    written += metrics.integer(0);
  }
  if (written == 0) throw std::invalid_argument("results: baseline '" + name + "' has no metrics");
}

std::vector<BaselineRecord> read_baselines(const Database& database) {
  Statement row(database,
                "SELECT name, set_by, reason, at, uuid FROM baseline JOIN run ON run.id = run_id "
                "GROUP BY name, at, run_id ORDER BY name, at, uuid");
  std::vector<BaselineRecord> baselines;
  while (row.step()) {
    const bool is_same =
        !baselines.empty() && baselines.back().name == row.text(0) && baselines.back().at == row.real(3);
    if (!is_same) baselines.push_back({row.text(0), row.text(1), row.text(2), row.real(3), {}});
    baselines.back().uuids.push_back(row.text(4));
  }
  return baselines;
}

std::vector<ComparisonRecord> read_comparisons(const Database& database) {
  Statement row(database,
                "SELECT base.uuid, new.uuid, metric, delta, p, lo, hi, verdict, rule_json FROM comparison "
                "JOIN run AS base ON base.id = base_run JOIN run AS new ON new.id = new_run "
                "JOIN series ON series.id = series_id ORDER BY comparison.id");
  const auto number = [&](int column) { return row.is_null(column) ? std::nullopt : std::optional(row.real(column)); };
  std::vector<ComparisonRecord> comparisons;
  while (row.step()) {
    nlohmann::json rule = nlohmann::json::parse(row.text(8), nullptr, /*allow_exceptions=*/false);
    if (rule.is_discarded()) {
      throw std::runtime_error(
          database.path().string() +
          ": the rule of a comparison is not JSON; the results database is damaged: restore a copy");
    }
    comparisons.push_back({row.text(0), row.text(1), row.text(2), row.real(3), number(4), number(5), number(6),
                           row.text(7), std::move(rule)});
  }
  return comparisons;
}

void insert_comparison(const Database& database, const ComparisonRecord& comparison) {
  const int64_t base = run_id(database, comparison.base_uuid), candidate = run_id(database, comparison.new_uuid);
  const int64_t series = series_of(database, candidate, comparison.metric);
  const std::string rule = comparison.rule.dump();
  Statement found(database,
                  "SELECT 1 FROM comparison WHERE base_run = ? AND new_run = ? AND series_id = ? AND delta IS ? AND "
                  "p IS ? AND lo IS ? AND hi IS ? AND verdict = ? AND rule_json = ?");
  const auto& [base_uuid, new_uuid, metric, delta, p, low, high, verdict, rule_json] = comparison;
  if (found.bind(base, candidate, series, delta, p, low, high, verdict, rule).step()) return;
  Statement(database,
            "INSERT INTO comparison(base_run, new_run, series_id, delta, p, lo, hi, verdict, rule_json) "
            "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .bind(base, candidate, series, delta, p, low, high, verdict, rule)
      .run();
}

}  // namespace moebench
