#include "results/run_writer.h"

#include <set>
#include <stdexcept>

#include "harness/content_hash.h"
#include "results/cell_text.h"

namespace moebench {
namespace {

std::string canonical(const nlohmann::json& json, const std::string& what) {
  try {
    return json.dump();
  } catch (const nlohmann::json::exception&) {
    throw std::invalid_argument("results: the " + what + " of a run holds text that is not UTF-8");
  }
}

// The id of the row that holds value in the unique column, which an INSERT … ON CONFLICT has made sure of.
int64_t id_where(const Database& database, const char* sql, const std::string& value) {
  Statement statement(database, sql);
  statement.bind(value).step();
  return statement.integer(0);
}

int64_t config_id(const Database& database, const nlohmann::json& config) {
  const std::string json = canonical(config, "config");
  const std::string hash = content_hash(std::string_view(json));
  Statement(database, "INSERT INTO config(hash, json) VALUES(?, ?) ON CONFLICT DO NOTHING").bind(hash, json).run();
  return id_where(database, "SELECT id FROM config WHERE hash = ?", hash);
}

int64_t dataset_id(const Database& database, const DatasetRecord& dataset) {
  const auto& [name, split, content, tokenizer, tokens] = dataset;
  Statement(database,
            "INSERT INTO dataset(name, split, content_hash, tokenizer_hash, tokens) VALUES(?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING")
      .bind(name, split, content, tokenizer, tokens)
      .run();
  Statement id(database,
               "SELECT id FROM dataset WHERE name = ? AND split = ? AND content_hash = ? AND tokenizer_hash = ? "
               "AND tokens = ?");
  id.bind(name, split, content, tokenizer, tokens).step();
  return id.integer(0);
}

// A parent may be recorded after its children; a row with its hash stands for it until then.
std::optional<int64_t> parent_id(const Database& database, const std::string& weights_hash) {
  if (weights_hash.empty()) return std::nullopt;
  Statement(database,
            "INSERT INTO model(role, path, weights_hash, architecture, json) VALUES('', '', ?, '', '{}') "
            "ON CONFLICT DO NOTHING")
      .bind(weights_hash)
      .run();
  return id_where(database, "SELECT id FROM model WHERE weights_hash = ?", weights_hash);
}

// A model is its weights; where it lies and what is said of it may change, and the latest is kept.
int64_t model_id(const Database& database, const ModelRecord& model) {
  if (model.weights_hash.empty()) throw std::invalid_argument("results: the model of a run has no weights_hash");
  Statement(database,
            "INSERT INTO model(parent_id, role, path, weights_hash, architecture, json) VALUES(?, ?, ?, ?, ?, ?) "
            "ON CONFLICT(weights_hash) DO UPDATE SET parent_id = excluded.parent_id, role = excluded.role, "
            "path = excluded.path, architecture = excluded.architecture, json = excluded.json")
      .bind(parent_id(database, model.parent_weights_hash), model.role, model.path, model.weights_hash,
            model.architecture, canonical(model.details, "model details"))
      .run();
  return id_where(database, "SELECT id FROM model WHERE weights_hash = ?", model.weights_hash);
}

// What makes values comparable: the metric, the task with its options, the data as the tokenizer cuts it.
struct Bench {
  std::string name, version, parameters;
};

Bench bench_of(const RunRecord& run) {
  const nlohmann::json& config = run.config;
  const bool has_task = config.is_object() && config.contains("task") && config["task"].is_string();
  const bool has_options = config.is_object() && config.contains("task_options");
  Bench bench{.name = has_task ? config["task"].get<std::string>() : run.stage,
              .parameters = has_options ? config["task_options"].dump() : "{}"};
  if (run.dataset) {
    bench.version = content_hash(nlohmann::json{run.dataset->content_hash, run.dataset->tokenizer_hash});
  }
  return bench;
}

int64_t series_id(const Database& database, const Metric& metric, const Bench& bench) {
  const char* direction = direction_name(metric.direction);
  Statement(database,
            "INSERT INTO series(metric, unit, direction, bench, bench_version, params_json) VALUES(?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING")
      .bind(metric.name, metric.unit, direction, bench.name, bench.version, bench.parameters)
      .run();
  Statement id(database,
               "SELECT id FROM series WHERE metric = ? AND unit = ? AND direction = ? AND bench = ? "
               "AND bench_version = ? AND params_json = ?");
  id.bind(metric.name, metric.unit, direction, bench.name, bench.version, bench.parameters).step();
  return id.integer(0);
}

void insert_metrics(const Database& database, const RunRecord& run, int64_t run_id) {
  const Bench bench = bench_of(run);
  Statement sample(database, "INSERT INTO sample(run_id, series_id, rep, value) VALUES(?, ?, 0, ?)");
  Statement stat(database,
                 "INSERT INTO stat(run_id, series_id, n, mean, standard_error, method) VALUES(?, ?, ?, ?, ?, '')");
  for (const Metric& metric : run.metrics) {
    const int64_t series = series_id(database, metric, bench);
    sample.bind(run_id, series, metric.value).run();
    stat.bind(run_id, series, metric.n, metric.value, metric.standard_error).run();
  }
}

void insert_items(const Database& database, const RunRecord& run, int64_t run_id) {
  Statement statement(
      database, "INSERT INTO item(run_id, task, item_id, nll, tokens, correct, cluster) VALUES(?, ?, ?, ?, ?, ?, ?)");
  for (const Item& item : run.items) {
    statement.bind(run_id, item.task, item.id, item.nll, item.tokens, item.correct, item.cluster).run();
  }
}

void insert_artifacts(const Database& database, const RunRecord& run, int64_t run_id) {
  Statement statement(database, "INSERT INTO artifact(run_id, kind, path, sha256, bytes) VALUES(?, ?, ?, ?, ?)");
  for (const ArtifactRecord& artifact : run.artifacts) {
    statement.bind(run_id, artifact.kind, artifact.path, artifact.sha256, artifact.bytes).run();
  }
}

[[noreturn]] void refuse(const RunRecord& run, const std::string& why) {
  throw std::invalid_argument("results: run '" + run.uuid + "': " + why);
}

void refuse_unnamed(const RunRecord& run) {
  if (run.uuid.empty()) refuse(run, "has no uuid");
  if (run.cell_key.empty()) refuse(run, "has no cell_key");
  if (run.stage.empty()) refuse(run, "has no stage");
  if (run.status != "completed" && run.status != "failed") {
    refuse(run, "status '" + run.status + "' is not 'completed' or 'failed'");
  }
}

void refuse_duplicates(const RunRecord& run) {
  std::set<std::string_view> metrics;
  for (const Metric& metric : run.metrics) {
    if (metric.name.empty()) refuse(run, "a metric has no name");
    if (!metrics.insert(metric.name).second) refuse(run, "metric '" + metric.name + "' is there twice");
  }
  std::set<std::pair<std::string_view, std::string_view>> items;
  for (const Item& item : run.items) {
    if (!items.emplace(item.task, item.id).second)
      refuse(run, "item '" + item.id + "' of " + item.task + " is there twice");
  }
}

}  // namespace

int64_t machine_id(const Database& database, const MachineRecord& machine) {
  const auto& [cpu, gpu, driver, os, memory_bytes, machine_class] = machine;
  const std::string fingerprint =
      content_hash(std::string_view(canonical({cpu, gpu, driver, os, memory_bytes, machine_class}, "machine")));
  Statement(database,
            "INSERT INTO machine(fingerprint, cpu, gpu, driver, os, memory_bytes, class) VALUES(?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING")
      .bind(fingerprint, cpu, gpu, driver, os, memory_bytes, machine_class)
      .run();
  return id_where(database, "SELECT id FROM machine WHERE fingerprint = ?", fingerprint);
}

int64_t build_id(const Database& database, const BuildRecord& build) {
  const auto& [git_commit, dirty, compiler, flags, torch_version, cuda_version] = build;
  const std::string hash = content_hash(
      std::string_view(canonical({git_commit, dirty, compiler, flags, torch_version, cuda_version}, "build")));
  Statement(database,
            "INSERT INTO build(hash, git_commit, dirty, compiler, flags, torch_version, cuda_version) "
            "VALUES(?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING")
      .bind(hash, git_commit, dirty, compiler, flags, torch_version, cuda_version)
      .run();
  return id_where(database, "SELECT id FROM build WHERE hash = ?", hash);
}

void insert_run(const Database& database, const RunRecord& run, int64_t machine_id, int64_t build_id) {
  refuse_unnamed(run);
  refuse_duplicates(run);
  std::optional<int64_t> model, dataset;
  if (run.model) model = model_id(database, *run.model);
  if (run.dataset) dataset = dataset_id(database, *run.dataset);
  Statement(database,
            "INSERT INTO run(uuid, cell_key, config_id, build_id, machine_id, model_id, dataset_id, seed, stage, "
            "status, started, ended, exit_code, error) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
      .bind(run.uuid, run.cell_key, config_id(database, run.config), build_id, machine_id, model, dataset, run.seed,
            run.stage, run.status, run.started, run.ended, run.exit_code, run.error)
      .run();
  const int64_t run_id = database.last_insert_id();
  insert_metrics(database, run, run_id);
  insert_items(database, run, run_id);
  insert_artifacts(database, run, run_id);
}

void delete_runs(const Database& database, const std::string& cell_key) {
  Statement(database, "DELETE FROM run WHERE cell_key = ?").bind(cell_key).run();
}

}  // namespace moebench
