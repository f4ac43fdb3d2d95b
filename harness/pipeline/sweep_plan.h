// A sweep file resolved against its models, texts, methods and tasks: every cell with its content key, nothing
// computed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "harness/checkpoint/checkpoint.h"
#include "harness/converter.h"
#include "harness/model/llama.h"
#include "harness/pipeline/cell.h"
#include "harness/pipeline/sweep_spec.h"
#include "harness/task.h"
#include "harness/text/corpus.h"
#include "harness/text/tokenizer.h"

namespace moebench {

struct PlannedConversion {
  SweepCell cell;
  std::shared_ptr<const Converter> converter;
  MoeShape shape;  // undefined if the cell has an error
  uint64_t seed = 0;
  size_t calibration = 0;  // of SweepPlan::calibrations; nothing is meant where the method needs no text
};

// One conversion's retraining: a cell for every mark, which one run makes.
struct PlannedRetraining {
  size_t conversion = 0;  // of the model's
  RetrainRecipe recipe;
  std::vector<int64_t> marks;    // tokens, ascending, above 0
  std::vector<SweepCell> cells;  // [marks]
};

// What a measurement looks at; of a dense parent nothing is set.
struct MeasuredThing {
  std::optional<size_t> conversion;  // of the model's
  std::optional<size_t> retraining;  // of the model's, then with
  size_t mark = 0;                   // of its marks
  bool oracle = false;               // the same experts behind the oracle router

  bool operator==(const MeasuredThing&) const = default;
};

struct PlannedMeasurement {
  SweepCell cell;
  MeasuredThing thing;
  size_t task = 0;  // of SweepPlan::tasks
};

struct PlannedModel {
  std::unique_ptr<Checkpoint> checkpoint;
  std::unique_ptr<Tokenizer> tokenizer;
  Precision precision;
  std::string weights_hash, tokenizer_hash;
  std::vector<PlannedConversion> conversions;  // those of one seed together
  std::vector<PlannedRetraining> retrainings;
  std::vector<PlannedMeasurement> measurements;
};

struct PlannedTask {
  TaskSpec spec;
  std::unique_ptr<Task> task;
  nlohmann::json options;          // resolved
  nlohmann::json changed_options;  // those that differ from their defaults
  std::string data_hash;
  bool overlaps_retraining = false;  // measured on text that the sweep retrains on
  std::string error;                 // why its data cannot be used; its cells fail
};

struct PlannedCalibration {
  CalibrationSpec spec;
  std::vector<Corpus> texts;   // one a domain
  std::vector<bool> overlaps;  // per task: it is measured on text that is calibrated on
};

struct SweepPlan {
  SweepSpec spec;
  std::vector<PlannedCalibration> calibrations;  // the sweep's, and those of methods with one of their own
  std::vector<Corpus> retrain_texts;
  std::vector<PlannedTask> tasks;
  std::vector<PlannedModel> models;
};

// Hashes weights and texts; loads no model. A layout or task data that cannot be used is its cells' error. Throws
// std::invalid_argument naming file and line for unknown methods, tasks and options, and for a model that is there
// twice; std::runtime_error for a model or calibration text that cannot be read.
SweepPlan plan_sweep(const SweepSpec& spec);

}  // namespace moebench
