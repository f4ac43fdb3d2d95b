// A stage of one cell of a sweep, its content key, and what the database knows of it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "results/result_store.h"

namespace moebench {

struct SweepCell {
  std::string label;  // "cmoe S3A3E8 seed 0 · perplexity"
  std::string stage;  // convert, measure
  std::string error;  // why it cannot be done, known without trying; "" if it can
  // Every field that decides the result, and nothing else: hashes of inputs, resolved settings, the stage's version. A
  // measurement's holds its conversion's whole.
  nlohmann::json identity = nlohmann::json::object();
  nlohmann::json description = nlohmann::json::object();  // what reports read beside it: names, ratios

  // SHA-256 of the identity, which is not changed from the first call on: of many cells it is what takes time.
  const std::string& key() const;
  nlohmann::json config() const;  // RunRecord::config: the description with the identity under "identity"

  mutable std::string known_key;  // key()'s
};

enum class CellState {
  kDone,
  kMissing,
  kFailed,
  kBlocked,  // a measurement whose conversion failed or cannot be made
};

// The runs of a database by key; a snapshot.
class RecordedCells {
 public:
  explicit RecordedCells(std::vector<RunRecord> runs);

  CellState state(const std::string& key) const;
  const RunRecord* find(const std::string& key) const;  // null if there is none
  const RunRecord* completed(const std::string& key) const;
  const std::vector<RunRecord>& runs() const { return runs_; }

 private:
  std::vector<RunRecord> runs_;
  std::map<std::string, size_t> by_key_;  // the completed run of a key, or its last failed one
};

// What the run was recorded with; an empty object if that is not known.
const nlohmann::json& identity_of(const RunRecord& run);

// One line for each field in which identities differ: "options.propagate: "dense" recorded, "converted" wanted".
std::vector<std::string> identity_differences(const nlohmann::json& recorded, const nlohmann::json& wanted);

// The completed run of the same stage whose identity differs in the fewest fields; null if there is none.
const RunRecord* nearest_run(const SweepCell& cell, const std::vector<RunRecord>& runs);

}  // namespace moebench
