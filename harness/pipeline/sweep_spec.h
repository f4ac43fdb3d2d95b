// A sweep file: which models, calibrated on what, by which methods, measured how. No torch; names of methods, tasks and
// texts are checked when the sweep is planned.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace moebench {

struct ModelSpec {
  std::string path;  // a path, or a name that scripts/fetch knows
  std::string dtype = "float32";
  std::string device = "cpu";
};

// A thousand times what published recipes use (8 windows of 2048). Every token keeps a residual in memory, so more
// would end by the kernel's hand.
inline constexpr int64_t kMaxCalibrationTokens = int64_t{1} << 24;

// More is not short retraining: at a thousand tokens a second it would take two weeks.
inline constexpr int64_t kMaxRetrainTokens = 1'000'000'000;

struct CalibrationSpec {
  std::vector<std::string> texts;  // names or paths; each is a domain
  int64_t windows = 8;             // of each text
  int64_t window = 2048;           // tokens; texts, windows and this multiply to kMaxCalibrationTokens at most

  bool operator==(const CalibrationSpec&) const = default;
};

// Retraining of every conversion, once, and measured at each mark on the way.
struct RetrainSpec {
  std::vector<std::string> texts;                      // names or paths, one after the other
  std::vector<int64_t> tokens;                         // the marks, ascending; 0 is the conversion as it is
  std::string recipe = "common";                       // as harness/retraining/recipe.h names them
  int64_t window = 512;                                // tokens that are seen together
  std::string dtype = "float32";                       // of the products; what is trained is float32
  nlohmann::json settings = nlohmann::json::object();  // fields of its stages: {"learning_rate": 3e-4}
  bool dense = true;  // the dense parent, too, by the common recipe: what the text alone gives
};

struct MethodSpec {
  std::string name;
  std::vector<double> active_ratios;  // each is answered with the method's published layout
  std::vector<std::string> shapes;    // "S3A3E8"
  nlohmann::json options = nlohmann::json::object();
  nlohmann::json adjust = nlohmann::json::object();  // AdjustmentOptions (harness/adjustment)
  std::optional<CalibrationSpec> calibration;        // instead of the sweep's
  std::optional<RetrainSpec> retraining;             // the sweep's with the method's own marks and recipe
  std::optional<bool> oracle;   // also measure the oracle router on the same experts; default: SweepSpec::controls
  std::vector<uint64_t> seeds;  // instead of the sweep's; empty: those
  bool is_included = false;     // of [[include]]: no exclusion holds for it
  std::string location;         // "quickstart.toml:12", for messages
};

// Cells that are left out: those for which every condition holds.
struct ExcludeSpec {
  // Field to the values of which one must be the cell's: model, method, shape, active_ratio, seed, retrain_tokens,
  // task; and options, an object whose every value must be. A condition on what a stage does not have does not hold:
  // with a task, only measurements are left out.
  nlohmann::json conditions = nlohmann::json::object();
  std::string location;

  // fields: what the cell has of them, active_ratio as a list of what it may be called.
  bool leaves_out(const nlohmann::json& fields) const;
};

struct TaskSpec {
  std::string name;
  nlohmann::json options = nlohmann::json::object();
  std::string location;
};

struct SweepSpec {
  std::string name;
  std::vector<uint64_t> seeds = {0};
  std::vector<ModelSpec> models;
  std::optional<CalibrationSpec> calibration;
  std::optional<RetrainSpec> retraining;
  std::vector<MethodSpec> methods;  // one for each point of their matrices
  std::vector<ExcludeSpec> excludes;
  std::vector<TaskSpec> tasks;
  // The oracle router on each routed method, and static pruning at each active ratio where no method is that already.
  bool controls = true;
};

// settings: "calibration.windows=4", as --set takes them. Throws std::runtime_error if the file cannot be read,
// std::invalid_argument naming file, line and field for anything else.
SweepSpec read_sweep_spec(const std::string& file, const std::vector<std::string>& settings = {});

}  // namespace moebench
