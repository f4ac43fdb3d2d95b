// The comparison table as data: what renderers show, each in its way. All numbers are in the metric's unit.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/metric.h"
#include "results/run_description.h"

namespace moebench {

enum class CellStatus {
  kValue,
  kFailed,         // every seed that was tried failed
  kNotRun,         // nobody has measured it yet
  kNotApplicable,  // the row has no such thing: a dense model no conversion
};

enum class Rank { kNone, kBest, kSecond };

struct CellSeeds {
  std::vector<int64_t> measured;  // that the value is the mean of, ascending
  std::vector<int64_t> failed;
  std::string reason;  // of the first that failed

  bool operator==(const CellSeeds&) const = default;
};

struct Cell {
  CellStatus status = CellStatus::kNotRun;
  double value = 0;                          // mean over seeds; NaN or infinite where a model diverged
  std::optional<double> standard_deviation;  // sample standard deviation over seeds, where there are at least two
  std::optional<double> standard_error;      // over the n of one seed: root mean square over seeds
  int64_t n = 0;                             // what each seed's value is computed over
  std::shared_ptr<const CellSeeds> seeds;    // of neighbours mostly the same: there can be millions
  std::optional<double> ratio_to_dense;
  bool overlaps_calibration = false;  // measured on text that it was calibrated on
  bool overlaps_retraining = false;   // measured on text that it was retrained on
  Rank rank = Rank::kNone;            // among the methods and controls of one dense parent, active ratio and retraining
};

// One metric of one task with one setting of its options; or of conversion or retraining.
struct Column {
  std::string metric, unit;
  Direction direction = Direction::kNeither;
  std::string task;  // "" for conversion and retraining
  nlohmann::json task_options = nlohmann::json::object();
  std::string detail;  // the options that tell it from columns of the same metric: "max_windows=5"; often ""
  nlohmann::json identity = nlohmann::json::object();  // RunDescription::task_identity of its runs
  std::string distinction;  // of columns of the same metric and options: "version 1"; nearly always ""
  bool is_headline = true;  // false: too fine for a table that is read (layers, phases)
};

enum class RowKind {
  kDense,
  kControl,  // static pruning at the same activated size; the dense parent retrained
  kBound,    // oracle router, a token's top neurons: computes all that it then leaves out
  kMethod,
};

struct Row {
  RowKind kind = RowKind::kMethod;
  std::string key;          // DescribedRun::row_key of its runs
  RunDescription about;     // of any of its runs: they agree in all that makes a row
  std::string options;      // that differ from the method's defaults or between its rows: "criterion=rate, refit=true"
  std::string distinction;  // from rows that read alike, in what a sweep knows them by: "version 1"; mostly ""
  std::vector<int64_t> seeds;
  std::vector<Cell> cells;  // one for each column
};

struct FailedRun {
  std::string subject;  // "cmoe S3A3E8"
  std::string stage;    // convert, or the task
  int64_t seed = 0;
  std::string reason;
};

struct Table {
  std::vector<Column> columns;
  std::vector<Row> rows;  // by model; the dense parent first, then by active ratio controls, bounds, methods
  std::vector<FailedRun> failures;
  std::vector<int64_t> seeds;
  std::vector<std::string> dtypes, machine_classes, builds;
  std::vector<std::string> warnings;  // what makes rows less comparable than they look, a sentence each
};

// "cmoe", "static_pruning (criterion=rate)", "cmoe with oracle router (bound)", "cmoe [version 1]".
std::string row_label(const Row& row);

// With shape and retraining: "cmoe S3A3E8 retrained on 100000 tokens (common)".
std::string row_title(const Row& row);

}  // namespace moebench
