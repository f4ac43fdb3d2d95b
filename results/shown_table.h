// The comparison table as people read it: one table for each model, headline columns only, texts plain. Renderers for
// people add nothing but their own marks, so that all of them say the same.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "results/table.h"

namespace moebench {

struct ShownCell {
  std::string text;  // "46.21 ± 0.30", "FAILED: out of memory", "not run"; UTF-8 as in the database, not yet escaped
  Rank rank = Rank::kNone;
  bool overlaps_calibration = false, overlaps_retraining = false;
  std::string note;             // " (2 of 3 seeds)"; often ""
  std::optional<double> value;  // what to sort by; none where text is no number
  bool is_failed = false;
};

struct ShownColumn {
  std::string title;  // without arrow
  Direction direction = Direction::kNeither;
  bool is_number = true;
  std::vector<ShownCell> cells;  // one for each row
};

struct ShownTable {
  std::string model;
  std::vector<const Row*> rows;  // of the table
  std::vector<ShownColumn> columns;
};

// In the order of the table's rows, which must outlive it.
std::vector<ShownTable> shown_tables(const Table& table);

// "wiki/gptq-2048/ppl (max_windows=5) [version 1]", "activated parameters".
std::string shown_title(const Column& column);

// Of the rows that compete with each other: "50 % of the neurons active, retrained on 1000 tokens", "Dense parent".
std::string group_title(const Row& row);

// The share of neurons that a token visits: as measured, or else what the shape says; 0 if neither is known.
double active_share(const Table& table, const Row& row);

// "46.21 ± 0.30", "134.5 M", "2.50 GB": a cell that has a value.
std::string shown_value(const Column& column, const Cell& cell);

// " ↓" or " ↑", which way is better; "" for neither.
const char* direction_arrow(Direction direction);

}  // namespace moebench
