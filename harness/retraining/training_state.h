// Where a retraining stands, as a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

namespace moebench {

struct TrainingState {
  int64_t stage = 0, step = 0;  // steps done in the stage
  int64_t windows = 0;          // read so far
  double seconds = 0;
  int64_t peak_memory_bytes = 0;
  nlohmann::json curve = nlohmann::json::array(), load;
  std::map<std::string, at::Tensor> tensors;
};

// settings: what must be the same for a state to be gone on from. Throws TryAgainError where the file cannot be
// written.
void save_training_state(const TrainingState& state, const nlohmann::json& settings, const std::filesystem::path& path);

// Nothing if there is no such file. Throws std::runtime_error if it is damaged or of other settings.
std::optional<TrainingState> load_training_state(const nlohmann::json& settings, const std::filesystem::path& path);

}  // namespace moebench
