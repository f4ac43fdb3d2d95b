#include "harness/retraining/training_state.h"

#include <stdexcept>

#include <ATen/ATen.h>

#include "harness/checkpoint/safetensors.h"

namespace moebench {
namespace {

constexpr const char* kMetadataName = "moebench_training";

// The first setting that differs, for the message.
std::string difference(const nlohmann::json& one, const nlohmann::json& other) {
  for (const auto& [name, value] : one.items()) {
    if (!other.is_object() || other.value(name, nlohmann::json()) != value) return name;
  }
  return "";
}

}  // namespace

void save_training_state(const TrainingState& state, const nlohmann::json& settings,
                         const std::filesystem::path& path) {
  const nlohmann::json metadata = {{"settings", settings},     {"stage", state.stage},
                                   {"step", state.step},       {"windows", state.windows},
                                   {"seconds", state.seconds}, {"peak_memory_bytes", state.peak_memory_bytes},
                                   {"curve", state.curve},     {"load", state.load}};
  write_safetensors(path, state.tensors, {{kMetadataName, metadata.dump()}});
}

std::optional<TrainingState> load_training_state(const nlohmann::json& settings, const std::filesystem::path& path) {
  if (path.empty() || !std::filesystem::exists(path)) return std::nullopt;
  const auto refuse = [&](const std::string& problem) {
    return std::runtime_error(path.string() + ": " + problem + "; delete it to start anew");
  };
  const SafetensorsFile file(path);
  const auto found = file.metadata().find(kMetadataName);
  if (found == file.metadata().end()) throw refuse("is not the state of a retraining");
  const nlohmann::json metadata = nlohmann::json::parse(found->second, nullptr, /*allow_exceptions=*/false);
  if (!metadata.is_object() || !metadata.contains("settings")) throw refuse("has damaged metadata");
  const std::string differs = difference(settings, metadata["settings"]);
  if (!differs.empty()) throw refuse("is the state of another retraining (another " + differs + ")");
  TrainingState state;
  try {
    state.stage = metadata.at("stage").get<int64_t>();
    state.step = metadata.at("step").get<int64_t>();
    state.windows = metadata.at("windows").get<int64_t>();
    state.seconds = metadata.at("seconds").get<double>();
    state.peak_memory_bytes = metadata.at("peak_memory_bytes").get<int64_t>();
    state.curve = metadata.at("curve");
    state.load = metadata.at("load");
  } catch (const nlohmann::json::exception&) {
    throw refuse("has damaged metadata");
  }
  for (const std::string& name : file.names()) state.tensors[name] = file.view(name).clone();
  return state;
}

}  // namespace moebench
