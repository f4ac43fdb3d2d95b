#include "results/database_export.h"

#include <algorithm>
#include <stdexcept>

#include "harness/content_hash.h"
#include "results/baseline_rows.h"
#include "results/cell_text.h"
#include "results/csv_line.h"
#include "results/json_number.h"
#include "results/run_description.h"
#include "results/run_reader.h"

namespace moebench {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string line_of(const OrderedJson& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, OrderedJson::error_handler_t::replace) + "\n";
}

template <class Value>
OrderedJson or_null(const std::optional<Value>& value) {
  return value ? OrderedJson(*value) : OrderedJson(nullptr);
}

// By name: the order in the database is that of its ids.
template <class Value, class Key>
std::vector<Value> sorted(std::vector<Value> values, const Key& key) {
  std::sort(values.begin(), values.end(), [&](const Value& a, const Value& b) { return key(a) < key(b); });
  return values;
}

OrderedJson metrics_of(const RunRecord& run) {
  OrderedJson metrics = OrderedJson::array();
  for (const Metric& metric : sorted(run.metrics, [](const Metric& metric) { return metric.name; })) {
    metrics.push_back({{"name", metric.name},
                       {"unit", metric.unit},
                       {"direction", direction_name(metric.direction)},
                       {"value", json_number(metric.value)},
                       {"n", metric.n},
                       {"standard_error", json_number(metric.standard_error)}});
  }
  return metrics;
}

OrderedJson items_of(const std::vector<Item>& items) {
  OrderedJson all = OrderedJson::array();
  for (const Item& item : items) {
    all.push_back({{"task", item.task},
                   {"id", item.id},
                   {"nll", json_number(item.nll)},
                   {"tokens", item.tokens},
                   {"correct", or_null(item.correct)},
                   {"cluster", item.cluster}});
  }
  return all;
}

OrderedJson artifacts_of(const RunRecord& run) {
  OrderedJson artifacts = OrderedJson::array();
  const auto key = [](const ArtifactRecord& artifact) { return std::pair(artifact.kind, artifact.path); };
  for (const auto& [kind, path, sha256, bytes] : sorted(run.artifacts, key)) {
    artifacts.push_back({{"kind", kind}, {"path", path}, {"sha256", sha256}, {"bytes", bytes}});
  }
  return artifacts;
}

OrderedJson dataset_of(const RunRecord& run) {
  if (!run.dataset) return nullptr;
  const auto& [name, split, content_hash, tokenizer_hash, tokens] = *run.dataset;
  return {{"name", name},
          {"split", split},
          {"content_hash", content_hash},
          {"tokenizer_hash", tokenizer_hash},
          {"tokens", tokens}};
}

OrderedJson model_of(const RunRecord& run) {
  if (!run.model) return nullptr;
  const auto& [role, weights_hash, parent_weights_hash, path, architecture, details] = *run.model;
  return {{"role", role}, {"weights_hash", weights_hash}, {"parent_weights_hash", parent_weights_hash},
          {"path", path}, {"architecture", architecture}, {"details", details}};
}

OrderedJson machine_of(const MachineRecord& machine) {
  return {{"cpu", machine.cpu},
          {"gpu", machine.gpu},
          {"driver", machine.driver},
          {"os", machine.os},
          {"memory_bytes", machine.memory_bytes},
          {"class", machine.machine_class}};
}

OrderedJson build_of(const BuildRecord& build) {
  return {{"git_commit", build.git_commit}, {"dirty", build.dirty},         {"compiler", build.compiler},
          {"flags", build.flags},           {"torch", build.torch_version}, {"cuda", build.cuda_version}};
}

std::string run_line(const Database& database, const RunRecord& run) {
  const RunContext context = read_context(database, run.uuid);
  return line_of({{"run", run.uuid},
                  {"cell_key", run.cell_key},
                  {"stage", run.stage},
                  {"status", run.status},
                  {"seed", run.seed},
                  {"started", json_number(run.started)},
                  {"ended", json_number(run.ended)},
                  {"exit_code", run.exit_code},
                  {"error", run.error},
                  {"config", run.config},
                  {"machine", machine_of(context.machine)},
                  {"build", build_of(context.build)},
                  {"dataset", dataset_of(run)},
                  {"model", model_of(run)},
                  {"metrics", metrics_of(run)},
                  {"items", items_of(read_items(database, run.uuid))},
                  {"artifacts", artifacts_of(run)}});
}

std::string comparison_line(const ComparisonRecord& comparison) {
  return line_of({{"comparison", comparison.new_uuid},
                  {"base", comparison.base_uuid},
                  {"metric", comparison.metric},
                  {"delta", json_number(comparison.delta)},
                  {"p", json_number(comparison.p)},
                  {"low", json_number(comparison.low)},
                  {"high", json_number(comparison.high)},
                  {"verdict", comparison.verdict},
                  {"rule", comparison.rule}});
}

std::vector<RunRecord> runs_by_uuid(const Database& database) {
  return sorted(read_runs(database), [](const RunRecord& run) { return run.uuid; });
}

}  // namespace

RunContext read_context(const Database& database, const std::string& uuid) {
  Statement row(database,
                "SELECT cpu, gpu, driver, os, memory_bytes, class, git_commit, dirty, compiler, flags, torch_version, "
                "cuda_version FROM run JOIN machine ON machine.id = machine_id JOIN build ON build.id = build_id "
                "WHERE uuid = ?");
  if (!row.bind(uuid).step()) throw std::runtime_error("results: there is no run '" + uuid + "'");
  return {{row.text(0), row.text(1), row.text(2), row.text(3), row.integer(4), row.text(5)},
          {row.text(6), row.integer(7) != 0, row.text(8), row.text(9), row.text(10), row.text(11)}};
}

void export_json_lines(const Database& database, const std::function<void(const std::string&)>& write) {
  const Transaction transaction(database, Transaction::Kind::kRead);
  for (const RunRecord& run : runs_by_uuid(database)) write(run_line(database, run));
  for (const auto& [name, set_by, reason, at, uuids] : read_baselines(database)) {
    write(line_of(
        {{"baseline", name}, {"set_by", set_by}, {"reason", reason}, {"at", json_number(at)}, {"runs", uuids}}));
  }
  std::vector<std::string> lines;
  for (const ComparisonRecord& comparison : read_comparisons(database)) lines.push_back(comparison_line(comparison));
  std::sort(lines.begin(), lines.end());
  for (const std::string& line : lines) write(line);
}

void export_csv(const Database& database, const std::function<void(const std::string&)>& write) {
  const Transaction transaction(database, Transaction::Kind::kRead);
  write(csv_line({"run",     "cell_key",      "stage",         "status",    "error",
                  "started", "ended",         "machine_class", "build",     "model",
                  "method",  "shape",         "router",        "seed",      "retrained_tokens",
                  "task",    "metric",        "unit",          "direction", "value",
                  "n",       "standard_error"}));
  for (const RunRecord& run : runs_by_uuid(database)) {
    const RunDescription about = describe(run);
    std::vector<std::string> fields = {run.uuid,
                                       run.cell_key,
                                       run.stage,
                                       run.status,
                                       run.error,
                                       exact(run.started),
                                       exact(run.ended),
                                       run.machine_class,
                                       run.build,
                                       about.model,
                                       about.method,
                                       about.shape,
                                       about.router,
                                       std::to_string(run.seed),
                                       std::to_string(about.retrained_tokens),
                                       about.task};
    for (const Metric& metric : sorted(run.metrics, [](const Metric& metric) { return metric.name; })) {
      std::vector<std::string> line = fields;
      line.insert(line.end(), {metric.name, metric.unit, direction_name(metric.direction), exact(metric.value),
                               std::to_string(metric.n), exact(metric.standard_error)});
      write(csv_line(line));
    }
    if (!run.metrics.empty()) continue;
    fields.resize(fields.size() + 6);
    write(csv_line(fields));
  }
}

std::string database_content_hash(const Database& database) {
  ContentHasher hasher;
  export_json_lines(database, [&](const std::string& line) { hasher.update(line); });
  return hasher.finish();
}

}  // namespace moebench
