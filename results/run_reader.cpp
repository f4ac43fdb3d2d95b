#include "results/run_reader.h"

#include <stdexcept>
#include <unordered_map>

namespace moebench {
namespace {

// Deeper than any config of ours; what walks over JSON recurses, so a hostile depth would end the program.
constexpr int kMaximumJsonDepth = 64;

nlohmann::json parse_json(const std::string& text, const std::string& owner) {
  try {
    return nlohmann::json::parse(text, [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
      if (depth > kMaximumJsonDepth) throw std::runtime_error(owner + " is nested too deeply");
      return true;
    });
  } catch (const nlohmann::json::exception&) {
    throw std::runtime_error(owner + " is not JSON; the results database is damaged: restore a copy");
  }
}

Direction direction_from(const std::string& name) {
  if (name == "lower") return Direction::kLowerIsBetter;
  return name == "higher" ? Direction::kHigherIsBetter : Direction::kNeither;
}

// Columns: 0 id, 1 uuid … as selected in read_runs.
constexpr const char* kSelectRuns = R"sql(
SELECT run.id, run.uuid, run.cell_key, run.stage, run.status, run.seed, run.started, run.ended, run.exit_code,
       run.error, config.json, machine.class, build.git_commit, build.dirty,
       dataset.id, dataset.name, dataset.split, dataset.content_hash, dataset.tokenizer_hash, dataset.tokens,
       model.id, model.role, model.weights_hash, parent.weights_hash, model.path, model.architecture, model.json
FROM run JOIN config ON config.id = run.config_id
         JOIN machine ON machine.id = run.machine_id
         JOIN build ON build.id = run.build_id
         LEFT JOIN dataset ON dataset.id = run.dataset_id
         LEFT JOIN model ON model.id = run.model_id
         LEFT JOIN model AS parent ON parent.id = model.parent_id
)sql";

RunRecord run_of(const Statement& row, const std::string& file) {
  RunRecord run{.uuid = row.text(1),
                .cell_key = row.text(2),
                .stage = row.text(3),
                .status = row.text(4),
                .seed = row.integer(5),
                .started = row.real(6),
                .ended = row.real(7),
                .exit_code = static_cast<int>(row.integer(8)),
                .error = row.text(9)};
  const std::string owner = file + ": run '" + run.uuid + "': ";
  run.config = parse_json(row.text(10), owner + "its config");
  run.machine_class = row.text(11);
  run.build = row.text(12) + (row.integer(13) != 0 ? " (modified)" : "");
  if (!row.is_null(14)) run.dataset = {row.text(15), row.text(16), row.text(17), row.text(18), row.integer(19)};
  if (!row.is_null(20)) {
    run.model = {row.text(21), row.text(22), row.text(23),
                 row.text(24), row.text(25), parse_json(row.text(26), owner + "the details of its model")};
  }
  return run;
}

using RunPositions = std::unordered_map<int64_t, size_t>;  // of the run with this id in the result

void read_metrics(const Database& database, const RunPositions& positions, std::vector<RunRecord>& runs) {
  Statement row(database,
                "SELECT sample.run_id, metric, unit, direction, value, n, standard_error FROM sample "
                "JOIN stat ON stat.run_id = sample.run_id AND stat.series_id = sample.series_id "
                "JOIN series ON series.id = sample.series_id "
                "WHERE rep = 0 ORDER BY sample.run_id, sample.series_id");
  while (row.step()) {
    const auto position = positions.find(row.integer(0));
    if (position == positions.end()) continue;
    Metric metric{row.text(1), row.text(2), row.real(4), direction_from(row.text(3)), row.integer(5), std::nullopt};
    if (!row.is_null(6)) metric.standard_error = row.real(6);
    runs[position->second].metrics.push_back(std::move(metric));
  }
  for (RunRecord& run : runs) run.metrics.shrink_to_fit();
}

void read_artifacts(const Database& database, const RunPositions& positions, std::vector<RunRecord>& runs) {
  Statement row(database, "SELECT run_id, kind, path, sha256, bytes FROM artifact ORDER BY id");
  while (row.step()) {
    const auto position = positions.find(row.integer(0));
    if (position == positions.end()) continue;
    runs[position->second].artifacts.push_back({row.text(1), row.text(2), row.text(3), row.integer(4)});
  }
}

}  // namespace

std::vector<RunRecord> read_runs(const Database& database) {
  Statement row(database, std::string(kSelectRuns) + "ORDER BY run.started, run.id");
  std::vector<RunRecord> runs;
  RunPositions positions;
  while (row.step()) {
    positions[row.integer(0)] = runs.size();
    runs.push_back(run_of(row, database.path().string()));
  }
  read_metrics(database, positions, runs);
  read_artifacts(database, positions, runs);
  return runs;
}

std::vector<Item> read_items(const Database& database, const std::string& uuid) {
  Statement row(database,
                "SELECT task, item_id, nll, tokens, correct, cluster FROM item "
                "WHERE run_id = (SELECT id FROM run WHERE uuid = ?) ORDER BY task, length(item_id), item_id");
  row.bind(uuid);
  std::vector<Item> items;
  while (row.step()) {
    Item item{row.text(0), row.text(1), row.real(2), row.integer(3), std::nullopt};
    if (!row.is_null(4)) item.correct = row.integer(4) != 0;
    item.cluster = row.text(5);
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace moebench
