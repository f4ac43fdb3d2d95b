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

struct CalibrationSpec {
  std::vector<std::string> texts;  // names or paths; each is a domain
  int64_t windows = 8;             // of each text
  int64_t window = 2048;           // tokens; texts, windows and this multiply to kMaxCalibrationTokens at most
};

struct MethodSpec {
  std::string name;
  std::vector<double> active_ratios;  // each is answered with the method's published layout
  std::vector<std::string> shapes;    // "S3A3E8"
  nlohmann::json options = nlohmann::json::object();
  std::optional<bool> oracle;  // also measure the oracle router on the same experts; default: SweepSpec::controls
  std::string location;        // "quickstart.toml:12", for messages
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
  std::vector<MethodSpec> methods;
  std::vector<TaskSpec> tasks;
  // The oracle router on each routed method, and static pruning at each active ratio where no method is that already.
  bool controls = true;
};

// settings: "calibration.windows=4", as --set takes them. Throws std::runtime_error if the file cannot be read,
// std::invalid_argument naming file, line and field for anything else.
SweepSpec read_sweep_spec(const std::string& file, const std::vector<std::string>& settings = {});

}  // namespace moebench
