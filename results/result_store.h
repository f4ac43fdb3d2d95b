// The results database (a contract): SQLite, STRICT tables, one transaction a run. Builds without torch.
#pragma once

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

// A finished or failed stage of one cell.
// config is canonical JSON, fully resolved; reports read from it: "model", "method", "options" (object), "shape",
// "active_ratio", "router" ("own" or "oracle"), "seed", "task", "task_options", "dtype", "calibration" (object).
struct RunRecord {
  std::string uuid;
  std::string cell_key;  // content key of the stage; at most one completed run each
  std::string stage;     // convert, measure, …
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
};

class ResultStore {
 public:
  enum class Mode { kReadOnly, kReadWrite };

  // Creates the database if it is missing (kReadWrite). Throws std::runtime_error naming the file: not a database, made
  // by a newer version, missing (kReadOnly); TryAgainError: locked, read-only folder, disk full.
  ResultStore(const std::filesystem::path& path, Mode mode);
  ~ResultStore();

  void set_context(const MachineRecord& machine, const BuildRecord& build);  // of the runs added from now on

  // One transaction. A run whose cell_key is completed already is ignored; otherwise it replaces the failed ones of its
  // key, so that a cell has at most one run.
  void add(const RunRecord& run);

  // Removes the runs of this key, completed or failed, so that the cell is done anew: its artifact is gone.
  void forget(const std::string& cell_key);

  std::optional<RunRecord> find_completed(const std::string& cell_key) const;  // without items
  std::vector<RunRecord> runs() const;                                         // in order of starting, without items
  std::vector<Item> items(const std::string& uuid) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moebench
