// The results database (a contract): SQLite, STRICT tables, one transaction a run. Builds without torch.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/metric.h"

namespace moebench {

struct MachineRecord {
  std::string cpu, gpu, driver, os;
  int64_t memory_bytes = 0;
  std::string machine_class;  // comparability key: runs of different classes are not compared
};

struct BuildRecord {
  std::string git_commit;
  bool dirty = false;
  std::string compiler, flags, torch_version, cuda_version;
};

struct DatasetRecord {
  std::string name, split, content_hash, tokenizer_hash;
  int64_t tokens = 0;
};

struct ModelRecord {
  std::string role;  // dense, converted, retrained, exported
  std::string weights_hash;
  std::string parent_weights_hash;  // "" for a dense model
  std::string path, architecture;
  nlohmann::json details = nlohmann::json::object();
};

struct ArtifactRecord {
  std::string kind, path, sha256;
  int64_t bytes = 0;
};

// A finished or failed stage of one cell. The model that a run is about is described by keys of its config, the same
// ones in both stages; reports read nothing else of it:
//
//   "model"         name of the dense parent, as the user gave it
//   "method"        "dense", "static_pruning", "cmoe", … ("dense": the parent itself, only measured)
//   "options"       object: the method's options, every default filled in
//   "changed_options"  object: those of them that differ from their defaults, for the row's label
//   "shape"         "S3A3E8"; "" for dense
//   "active_ratio"  active neurons of a token / intermediate_size, of the shape (not as asked for): 0.75; 1 for dense,
//                   0 for a shape that does not fit
//   "router"        "own" or "oracle"
//   "dtype"         that it is converted and measured in: "float32" or "bfloat16"
//   "calibration"   null if the method reads no text, or {"texts": [names], "windows", "window", "tokens",
//                   "overlap": true if text that the task is measured on is among it}
//   "retrained_tokens"  0 if not retrained
//   "retraining"    if retrained: {"recipe", "texts": [names], "window", "budget", "overlap": as in "calibration"}
//   "seed"
//   "task", "task_options"   stage "measure" only: name, and object with every default filled in
//   "night"         of runs that `moebench nightly` measured: {"id": a uuid, "sweep": its name, "round": from 0,
//   "timed":
//                   true if its metrics are times}; their cell_key is the night's own
//   "identity"      object: what decides the result, as hashes where it is data (harness/pipeline/planned_cells.cpp);
//                   may be missing. "model", "tokenizer", "version", "seed", "task_data" and "conversion" are read of
//                   it
//
// Stage "convert" yields the metrics "conversion/seconds" and "conversion/seconds/<phase>" (unit "s") and
// "conversion/peak_memory" ("bytes"); they hold for every router on the same experts. Stage "measure" yields the
// task's.
struct RunRecord {
  std::string uuid;
  std::string cell_key;  // content key of the stage; at most one completed run each
  std::string stage;     // convert, retrain, measure
  std::string status;    // completed, failed
  int64_t seed = 0;
  double started = 0, ended = 0;  // seconds since the epoch
  int exit_code = 0;
  std::string error;  // why it failed, one sentence
  nlohmann::json config = nlohmann::json::object();
  std::optional<DatasetRecord> dataset;
  std::optional<ModelRecord> model;
  std::vector<Metric> metrics;
  std::vector<Item> items;
  std::vector<ArtifactRecord> artifacts;
  // Of the context, when read back; add() ignores them.
  std::string machine_class, build;
};

// Runs that later ones are compared with, by a name. Every change of what the name means is kept.
struct BaselineRecord {
  std::string name, set_by, reason;
  double at = 0;  // seconds since the epoch
  std::vector<std::string> uuids;
};

// One verdict of `moebench nightly`.
struct ComparisonRecord {
  std::string base_uuid, new_uuid;  // of the first rounds
  std::string metric;               // a metric of the new run
  double delta = 0;                 // the worsening where there is evidence, else the difference
  std::optional<double> p, low, high;
  std::string verdict;
  nlohmann::json rule = nlohmann::json::object();
};

class ResultStore {
 public:
  enum class Mode { kReadOnly, kReadWrite };

  // kReadWrite creates the database if it is missing; kReadOnly never creates a file. Several processes may have one
  // database open; a thread has a store of its own. lock_timeout: how long to wait for another writer. Throws
  // std::runtime_error naming the file: not a database, damaged, made by a newer version, missing (kReadOnly);
  // TryAgainError: locked, read-only folder, disk full.
  ResultStore(const std::filesystem::path& path, Mode mode,
              std::chrono::milliseconds lock_timeout = std::chrono::seconds(30));
  ~ResultStore();

  void set_context(const MachineRecord& machine, const BuildRecord& build);  // of the runs added from now on

  // One transaction: the whole run or nothing of it. A run whose cell_key is completed already is ignored; otherwise it
  // replaces the failed one of its key, so that a cell has at most one run. A NaN value is kept, a NaN standard error
  // is none. Throws std::invalid_argument for a run without names, with a metric or an item twice, or with a uuid that
  // is taken; TryAgainError: locked, disk full.
  void add(const RunRecord& run);

  // One transaction: all of a night or nothing. Runs as add() takes them; comparisons of runs that the store has or
  // that are among these.
  void add_night(const std::vector<RunRecord>& runs, const std::vector<ComparisonRecord>& comparisons);

  // What the name means from now on. Throws std::invalid_argument for a run that is not there, or without metrics in
  // any.
  void set_baseline(const BaselineRecord& baseline);
  std::vector<BaselineRecord> baselines() const;  // by name, then time: the last of a name is what it means

  // Removes the runs of this key, completed or failed, so that the cell is done anew: its artifact is gone.
  void forget(const std::string& cell_key);

  std::vector<RunRecord> runs() const;                     // in order of starting, without items
  std::vector<Item> items(const std::string& uuid) const;  // by task, then id
  nlohmann::ordered_json summary() const;                  // see results/summary.h

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moebench
