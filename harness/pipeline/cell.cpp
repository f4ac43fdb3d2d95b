#include "harness/pipeline/cell.h"

#include <set>

#include "harness/content_hash.h"

namespace moebench {
namespace {

constexpr size_t kShownHash = 12;

// A value as a person reads it: hashes cut short, tables by their size.
std::string shown(const nlohmann::json* value) {
  if (value == nullptr) return "nothing";
  if (value->is_object()) return "a table of " + std::to_string(value->size());
  const bool is_hash = value->is_string() && value->get_ref<const std::string&>().size() == 64;
  return is_hash ? value->get<std::string>().substr(0, kShownHash) + "…" : value->dump();
}

const nlohmann::json* find(const nlohmann::json& table, const std::string& key) {
  const auto found = table.find(key);
  return found == table.end() ? nullptr : &*found;
}

// A table that only one side has is one difference.
void add_differences(const nlohmann::json& recorded, const nlohmann::json& wanted, const std::string& prefix,
                     std::vector<std::string>& lines) {
  std::set<std::string> keys;
  for (const auto& [key, value] : recorded.items()) keys.insert(key);
  for (const auto& [key, value] : wanted.items()) keys.insert(key);
  for (const std::string& key : keys) {
    const nlohmann::json *was = find(recorded, key), *is = find(wanted, key);
    if (was != nullptr && is != nullptr && *was == *is) continue;
    if (was != nullptr && is != nullptr && was->is_object() && is->is_object()) {
      add_differences(*was, *is, prefix + key + ".", lines);
    } else {
      lines.push_back(prefix + key + ": " + shown(was) + " recorded, " + shown(is) + " wanted");
    }
  }
}

size_t num_differing_fields(const nlohmann::json& recorded, const nlohmann::json& wanted) {
  size_t differing = 0;
  for (const auto& [field, value] : recorded.items()) {
    if (!wanted.contains(field) || wanted.at(field) != value) ++differing;
  }
  for (const auto& [field, value] : wanted.items()) differing += recorded.contains(field) ? 0 : 1;
  return differing;
}

}  // namespace

// nlohmann::json keeps object keys sorted, so the text of an identity is canonical.
SweepCell::SweepCell(const CellContent& content, std::string why_not)
    : label(content.label),
      stage(content.stage),
      error(std::move(why_not)),
      made_of(content.made_of),
      identity_(content.identity.dump()),
      description_(content.description.dump()),
      key_(content_hash(std::string_view(identity_))) {}

nlohmann::json SweepCell::config() const {
  nlohmann::json config = description();
  config["identity"] = identity();
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

const nlohmann::json& identity_of(const RunRecord& run) {
  static const nlohmann::json nothing = nlohmann::json::object();
  const auto found = run.config.find("identity");
  return found == run.config.end() ? nothing : *found;
}

std::vector<std::string> identity_differences(const nlohmann::json& recorded, const nlohmann::json& wanted) {
  std::vector<std::string> lines;
  add_differences(recorded, wanted, "", lines);
  return lines;
}

const RunRecord* nearest_run(const SweepCell& cell, const std::vector<RunRecord>& runs) {
  const nlohmann::json wanted = cell.identity().flatten();
  const RunRecord* nearest = nullptr;
  size_t fewest = 0;
  for (const RunRecord& run : runs) {
    if (run.stage != cell.stage || run.status != "completed") continue;
    const size_t differences = num_differing_fields(identity_of(run).flatten(), wanted);
    if (nearest == nullptr || differences < fewest) {
      nearest = &run;
      fewest = differences;
    }
  }
  return nearest;
}

}  // namespace moebench
