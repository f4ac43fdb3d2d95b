#include "results/database_merge.h"

#include <tuple>
#include <utility>

#include "results/baseline_rows.h"
#include "results/cell_text.h"
#include "results/csv_line.h"
#include "results/database_export.h"
#include "results/run_reader.h"
#include "results/run_writer.h"

namespace moebench {
namespace {

std::string cell_of(const std::string& cell_key) { return cell_key.substr(0, cell_key.find('#')); }

struct StoredRun {
  std::string uuid, cell_key;
  bool is_completed = false;
  double started = 0;

  std::pair<double, std::string> age() const { return {started, uuid}; }
};

bool is_known(const Database& target, const std::string& uuid) {
  Statement run(target, "SELECT 1 FROM run WHERE uuid = ?");
  return run.bind(uuid).step();
}

// All runs of the cell, those with a key of their own ("<key>#<uuid>") too: '$' is behind '#'.
std::vector<StoredRun> runs_of_cell(const Database& target, const std::string& cell) {
  Statement row(target,
                "SELECT uuid, cell_key, status = 'completed', started FROM run "
                "WHERE cell_key = ? OR (cell_key >= ? AND cell_key < ?)");
  row.bind(cell, cell + "#", cell + "$");
  std::vector<StoredRun> runs;
  while (row.step()) runs.push_back({row.text(0), row.text(1), row.integer(2) != 0, row.real(3)});
  return runs;
}

// What two databases say of one model: the larger of all that was said, so that the order does not matter. A model that
// is only known as a parent says nothing.
void settle_model(const Database& target, ModelRecord& model) {
  Statement row(target,
                "SELECT model.role, model.path, model.architecture, model.json, parent.weights_hash FROM model "
                "LEFT JOIN model AS parent ON parent.id = model.parent_id WHERE model.weights_hash = ?");
  if (!row.bind(model.weights_hash).step()) return;
  const auto there = std::tuple(row.text(0), row.text(1), row.text(2), row.text(3), row.text(4));
  const auto given =
      std::tuple(model.role, model.path, model.architecture, model.details.dump(), model.parent_weights_hash);
  nlohmann::json details = nlohmann::json::parse(row.text(3), nullptr, /*allow_exceptions=*/false);
  if (there <= given || details.is_discarded()) return;
  model.role = row.text(0);
  model.path = row.text(1);
  model.architecture = row.text(2);
  model.details = std::move(details);
  model.parent_weights_hash = row.text(4);
}

void rename(const Database& target, const std::string& uuid, const std::string& cell_key) {
  Statement(target, "UPDATE run SET cell_key = ? WHERE uuid = ?").bind(cell_key, uuid).run();
}

void remove(const Database& target, const std::string& uuid) {
  Statement(target, "DELETE FROM run WHERE uuid = ?").bind(uuid).run();
}

// "wiki/gptq-2048/ppl is 20.5 in one and 21.3 in the other"; "" if all that both have is alike.
std::string disagreement(const Database& target, const std::string& other_uuid, const RunRecord& run) {
  Statement row(target,
                "SELECT mean FROM stat JOIN series ON series.id = series_id JOIN run ON run.id = run_id "
                "WHERE uuid = ? AND metric = ?");
  for (const Metric& metric : run.metrics) {
    if (metric.unit == "s" || metric.unit == "bytes") continue;  // which no two runs have alike
    if (!row.bind(other_uuid, metric.name).step() || row.real(0) == metric.value) continue;
    return metric.name + " is " + exact(row.real(0)) + " in one and " + exact(metric.value) + " in the other";
  }
  return "";
}

class Merge {
 public:
  Merge(const Database& target, const Database& source, MergeReport& report)
      : target_(target), source_(source), report_(report) {}

  void run() {
    for (RunRecord& run : read_runs(source_)) {
      if (run.model) settle_model(target_, *run.model);
      if (is_known(target_, run.uuid)) {
        ++report_.known;
        continue;
      }
      run.cell_key = cell_of(run.cell_key);
      run.status == "completed" ? add_completed(run) : add_failed(run);
    }
    for (const BaselineRecord& baseline : read_baselines(source_)) insert_baseline(target_, baseline);
    for (const ComparisonRecord& comparison : read_comparisons(source_)) insert_comparison(target_, comparison);
  }

 private:
  void add_failed(RunRecord& run) {
    for (const StoredRun& there : runs_of_cell(target_, run.cell_key)) {
      const bool is_later = there.age() > std::pair(run.started, run.uuid);
      ++report_.superseded;
      if (there.is_completed || is_later) return;
      remove(target_, there.uuid);
    }
    insert(run);
  }

  void add_completed(RunRecord& run) {
    std::string cell_key = run.cell_key;
    for (const StoredRun& there : runs_of_cell(target_, run.cell_key)) {
      if (!there.is_completed) {
        ++report_.superseded;
        remove(target_, there.uuid);
      } else if (there.cell_key == run.cell_key) {
        note_conflict(there, run);
        if (there.age() < std::pair(run.started, run.uuid)) {
          cell_key = run.cell_key + "#" + run.uuid;
        } else {
          rename(target_, there.uuid, there.cell_key + "#" + there.uuid);
        }
      }
    }
    run.cell_key = cell_key;
    insert(run);
  }

  void note_conflict(const StoredRun& there, const RunRecord& run) {
    const std::string difference = disagreement(target_, there.uuid, run);
    report_.conflicts.push_back(one_line("runs " + there.uuid + " and " + run.uuid +
                                         " are of one cell; both are kept; " +
                                         (difference.empty() ? "they agree" : difference)));
  }

  void insert(RunRecord& run) {
    run.items = read_items(source_, run.uuid);
    const RunContext context = read_context(source_, run.uuid);
    insert_run(target_, run, machine_id(target_, context.machine), build_id(target_, context.build));
    ++report_.added;
  }

  const Database& target_;
  const Database& source_;
  MergeReport& report_;
};

}  // namespace

void merge_into(const Database& target, const Database& source, MergeReport& report) {
  const Transaction snapshot(source, Transaction::Kind::kRead);
  Merge(target, source, report).run();
}

}  // namespace moebench
