#include "harness/pipeline/plan_listing.h"

#include <ctime>
#include <map>

#include <fmt/chrono.h>
#include <fmt/format.h>

namespace moebench {
namespace {

constexpr size_t kShownKey = 12;

const char* state_name(CellState state) {
  switch (state) {
    case CellState::kDone:
      return "done";
    case CellState::kFailed:
      return "failed";
    case CellState::kMissing:
      return "missing";
    case CellState::kBlocked:
      return "blocked";
  }
  return "";
}

std::string described(const RunRecord& run) {
  return fmt::format("run {} of {:%Y-%m-%d %H:%M:%S}", run.uuid.substr(0, 8),
                     fmt::localtime(static_cast<std::time_t>(run.ended)));
}

std::string explain(const SweepCellStatus& status, const RecordedCells& recorded) {
  if (status.state == CellState::kDone) {
    return "         hit: " + described(*recorded.completed(status.cell->key())) + "\n";
  }
  if (!status.reason.empty()) return "         miss: " + status.reason + "\n";
  const RunRecord* nearest = nearest_run(*status.cell, recorded.runs());
  if (nearest == nullptr) return "         miss: no " + status.cell->stage + " run is recorded\n";
  std::string text = "         miss: nearest is " + described(*nearest) + "\n";
  for (const std::string& line : identity_differences(identity_of(*nearest), status.cell->identity())) {
    text += "           " + line + "\n";
  }
  return text;
}

}  // namespace

std::string list_cells(const std::vector<SweepCellStatus>& cells, const RecordedCells& recorded, bool why) {
  std::string text;
  std::map<CellState, int64_t> count;
  for (const SweepCellStatus& status : cells) {
    ++count[status.state];
    text += fmt::format("{:<8} {:<8} {}  {}\n", state_name(status.state), status.cell->stage,
                        status.cell->key().substr(0, kShownKey), status.cell->label);
    if (why) {
      text += explain(status, recorded);
    } else if (status.state == CellState::kFailed) {
      text += "         " + status.reason + "\n";
    }
  }
  text += fmt::format("{} cells: {} done, {} missing, {} failed", cells.size(), count[CellState::kDone],
                      count[CellState::kMissing], count[CellState::kFailed]);
  if (count[CellState::kBlocked] > 0) text += fmt::format(", {} blocked", count[CellState::kBlocked]);
  return text + "\n";
}

}  // namespace moebench
