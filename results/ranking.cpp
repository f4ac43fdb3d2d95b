#include "results/ranking.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <tuple>

#include "results/number_format.h"

namespace moebench {
namespace {

bool competes(const Row& row, const Cell& cell) {
  return (row.kind == RowKind::kControl || row.kind == RowKind::kMethod) && cell.status == CellStatus::kValue &&
         std::isfinite(cell.value) && cell.seeds->failed.empty();
}

// Ranks by what is shown: two cells that print the same number are tied.
void rank_best_first(const std::vector<Cell*>& cells) {
  const std::string best = format_number(cells.front()->value);
  std::string second;
  for (Cell* cell : cells) {
    const std::string shown = format_number(cell->value);
    if (shown != best && second.empty()) second = shown;
    if (shown == best) cell->rank = Rank::kBest;
    if (shown == second) cell->rank = Rank::kSecond;
  }
}

void rank_column(Table& table, size_t column) {
  const Direction direction = table.columns[column].direction;
  if (direction == Direction::kNeither || table.columns[column].task.empty()) return;
  std::map<std::tuple<std::string, int64_t, int64_t>, std::vector<Cell*>> groups;
  for (Row& row : table.rows) {
    Cell& cell = row.cells[column];
    if (!competes(row, cell)) continue;
    groups[{row.about.parent_key(), rounded_ratio(row), row.about.retrained_tokens}].push_back(&cell);
  }
  for (auto& [group, cells] : groups) {
    if (cells.size() < 2) continue;
    std::stable_sort(cells.begin(), cells.end(), [&](const Cell* a, const Cell* b) {
      return direction == Direction::kLowerIsBetter ? a->value < b->value : a->value > b->value;
    });
    rank_best_first(cells);
  }
}

}  // namespace

int64_t rounded_ratio(const Row& row) {
  const double ratio = row.about.active_ratio;
  return std::isfinite(ratio) && std::abs(ratio) < 1e6 ? std::llround(ratio * 1000) : -1;
}

void compare_with_dense(Table& table) {
  std::map<std::string, const Row*> parents;
  for (const Row& row : table.rows) {
    if (row.kind == RowKind::kDense) parents.emplace(row.about.parent_key(), &row);
  }
  for (Row& row : table.rows) {
    const auto dense = parents.find(row.about.parent_key());
    if (dense == parents.end()) continue;
    for (size_t column = 0; column < row.cells.size(); ++column) {
      const Cell& parent = dense->second->cells[column];
      Cell& cell = row.cells[column];
      const bool both = parent.status == CellStatus::kValue && cell.status == CellStatus::kValue;
      if (both && parent.value != 0) cell.ratio_to_dense = cell.value / parent.value;
    }
  }
}

void rank_cells(Table& table) {
  for (size_t column = 0; column < table.columns.size(); ++column) rank_column(table, column);
}

}  // namespace moebench
