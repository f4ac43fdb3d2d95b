#include "harness/pipeline/cell.h"

#include <set>

#include "harness/content_hash.h"

namespace moebench {
namespace {

constexpr size_t kShownHash = 12;

// A field as a person reads it: without quotes around hashes, which are cut short.
std::string shown(const nlohmann::json& flat, const std::string& pointer) {
  if (!flat.contains(pointer)) return "nothing";
  const nlohmann::json& value = flat.at(pointer);
  const bool is_hash = value.is_string() && value.get_ref<const std::string&>().size() == 64;
  return is_hash ? value.get<std::string>().substr(0, kShownHash) + "…" : value.dump();
}

std::string dotted(std::string pointer) {
  pointer.erase(0, 1);
  std::replace(pointer.begin(), pointer.end(), '/', '.');
  return pointer;
}

std::vector<std::string> differing_pointers(const nlohmann::json& recorded, const nlohmann::json& wanted) {
  std::set<std::string> pointers;
  for (const auto& [pointer, value] : recorded.items()) {
    if (!wanted.contains(pointer) || wanted.at(pointer) != value) pointers.insert(pointer);
  }
  for (const auto& [pointer, value] : wanted.items()) {
    if (!recorded.contains(pointer)) pointers.insert(pointer);
  }
  return {pointers.begin(), pointers.end()};
}

const nlohmann::json& identity_of(const RunRecord& run) {
  static const nlohmann::json nothing = nlohmann::json::object();
  const auto found = run.config.find("identity");
  return found == run.config.end() ? nothing : *found;
}

}  // namespace

std::string SweepCell::key() const { return content_hash(identity); }

nlohmann::json SweepCell::config() const {
  nlohmann::json config = description;
  config["identity"] = identity;
  return config;
}

RecordedCells::RecordedCells(std::vector<RunRecord> runs) : runs_(std::move(runs)) {
  for (size_t run = 0; run < runs_.size(); ++run) {
    const auto found = by_key_.find(runs_[run].cell_key);
    if (found != by_key_.end() && runs_[found->second].status == "completed") continue;
    by_key_[runs_[run].cell_key] = run;
  }
}

const RunRecord* RecordedCells::find(const std::string& key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &runs_[found->second];
}

const RunRecord* RecordedCells::completed(const std::string& key) const {
  const RunRecord* run = find(key);
  return run != nullptr && run->status == "completed" ? run : nullptr;
}

CellState RecordedCells::state(const std::string& key) const {
  const RunRecord* run = find(key);
  if (run == nullptr) return CellState::kMissing;
  return run->status == "completed" ? CellState::kDone : CellState::kFailed;
}

std::vector<std::string> identity_differences(const nlohmann::json& recorded, const nlohmann::json& wanted) {
  const nlohmann::json recorded_flat = recorded.flatten(), wanted_flat = wanted.flatten();
  std::vector<std::string> lines;
  for (const std::string& pointer : differing_pointers(recorded_flat, wanted_flat)) {
    lines.push_back(dotted(pointer) + ": " + shown(recorded_flat, pointer) + " recorded, " +
                    shown(wanted_flat, pointer) + " wanted");
  }
  return lines;
}

const RunRecord* nearest_run(const SweepCell& cell, const std::vector<RunRecord>& runs) {
  const nlohmann::json wanted = cell.identity.flatten();
  const RunRecord* nearest = nullptr;
  size_t fewest = 0;
  for (const RunRecord& run : runs) {
    if (run.stage != cell.stage || run.status != "completed") continue;
    const size_t differences = differing_pointers(identity_of(run).flatten(), wanted).size();
    if (nearest == nullptr || differences < fewest) {
      nearest = &run;
      fewest = differences;
    }
  }
  return nearest;
}

}  // namespace moebench
