// A stage of one cell of a sweep, its content key, and what the database knows of it.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include <nlohmann/json.hpp>

#include "results/result_store.h"

namespace moebench {

// What a cell is planned from.
struct CellContent {
  std::string label;  // "cmoe S3A3E8 seed 0 · perplexity"
  std::string stage;  // convert, retrain, measure
  // Every field that decides the result, and nothing else: hashes of inputs, resolved settings, the stage's version. A
  // measurement's holds its conversion's whole.
  nlohmann::json identity = nlohmann::json::object();
  nlohmann::json description = nlohmann::json::object();  // what reports read beside it: names, ratios
  std::vector<std::string> made_of;                       // keys of the conversion and the retraining that it needs
};

class SweepCell {
 public:
  SweepCell() = default;
  // error: why it cannot be done, known without trying; "" if it can.
  explicit SweepCell(const CellContent& content, std::string error = "");

  std::string label, stage, error;
  std::vector<std::string> made_of;

  const std::string& key() const { return key_; }  // SHA-256 of the identity
  nlohmann::json identity() const { return nlohmann::json::parse(identity_); }
  nlohmann::json description() const { return nlohmann::json::parse(description_); }
  nlohmann::json config() const;  // RunRecord::config: the description with the identity under "identity"

 private:
  // As text: the trees of a hundred thousand cells are a gigabyte.
  std::string identity_, description_, key_;
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
  std::unordered_map<std::string, size_t> by_key_;  // the completed run of a key, or its last failed one
};

// What the run was recorded with; an empty object if that is not known.
const nlohmann::json& identity_of(const RunRecord& run);

// One line for each field in which identities differ: "options.propagate: "dense" recorded, "converted" wanted".
std::vector<std::string> identity_differences(const nlohmann::json& recorded, const nlohmann::json& wanted);

// The completed run of the same stage whose identity differs in the fewest fields; null if there is none.
const RunRecord* nearest_run(const SweepCell& cell, const std::vector<RunRecord>& runs);

}  // namespace moebench
