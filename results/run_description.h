// What a run is about, read from its config (the keys are listed at RunRecord).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "results/result_store.h"

namespace moebench {

inline constexpr size_t kShownBuild = 12;  // characters of a build that tell it from others

struct CalibrationDescription {
  std::vector<std::string> texts;
  int64_t windows = 0, window = 0, tokens = 0;
};

// Keys that a config lacks, or has in another type, leave what is here.
struct RunDescription {
  std::string model, method, shape, dtype, task;
  std::string router = "own";
  double active_ratio = 0;  // 0: not known, as of a shape that does not fit
  nlohmann::json options = nlohmann::json::object();
  nlohmann::json changed_options = nlohmann::json::object();
  nlohmann::json task_options = nlohmann::json::object();
  std::optional<CalibrationDescription> calibration;
  bool overlaps_calibration = false;
  int64_t retrained_tokens = 0;
  std::string retrain_recipe;  // "" if not retrained
  std::vector<std::string> retrain_texts;
  bool overlaps_retraining = false;
  // Of the identity that a sweep records; empty where there is none.
  nlohmann::json identity = nlohmann::json::object();  // tokenizer, and the conversion's without its seed, or the model
  nlohmann::json task_identity = nlohmann::json::object();  // of the program's measuring and of the task's data

  bool is_dense() const { return method == "dense" && retrained_tokens == 0; }
  bool is_oracle() const { return router == "oracle"; }
  std::string parent_key() const;  // the same for a dense parent and all that was made of it
};

RunDescription describe(const RunRecord& run);

// A run of stage convert, retrain or measure, ready to be put into a table. record is not owned.
struct DescribedRun {
  const RunRecord* record = nullptr;
  RunDescription about;
  std::string conversion_key;  // the same for one conversion, whatever the router, the retraining and the seed
  std::string retraining_key;  // the same for one retraining of it up to one mark, whatever the seed
  std::string row_key;         // the same for one row of a table: seeds and tasks apart
  std::string bench;  // what it measures: a task with its options and data, kConversionBench or kRetrainingBench
  std::vector<const Metric*> by_name;  // the record's metrics, ascending by name; of one name the first

  bool is_failed() const { return record->status != "completed"; }
  bool is_conversion() const { return record->stage == "convert"; }
  bool is_measurement() const { return record->stage == "measure"; }
};

constexpr const char* kConversionBench = "";
constexpr const char* kRetrainingBench = "retraining";

// In the order of runs, without those of other stages.
std::vector<DescribedRun> describe_runs(const std::vector<RunRecord>& runs);

}  // namespace moebench
