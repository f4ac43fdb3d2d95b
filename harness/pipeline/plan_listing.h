// A plan as text: every cell with its state and, asked why, what decided that.
#pragma once

#include <string>
#include <vector>

#include "harness/pipeline/cell.h"

namespace moebench {

struct SweepCellStatus {
  const SweepCell* cell = nullptr;
  CellState state = CellState::kMissing;
  std::string reason;  // of a failure or a blocked cell, or of a recorded one that must be done anew; "" otherwise
};

// One line a cell and one with the totals. why: a line below each cell for the run that is a hit, or for each field in
// which the nearest recorded run of that stage differs.
std::string list_cells(const std::vector<SweepCellStatus>& cells, const RecordedCells& recorded, bool why);

}  // namespace moebench
