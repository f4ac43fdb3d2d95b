// Two rows of a results database on the items that both were measured on, metric by metric.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "results/paired_comparison.h"
#include "results/paired_items.h"
#include "results/result_store.h"
#include "results/table.h"

namespace moebench {

enum class Adjustment { kHolm, kBenjaminiHochberg };

// "holm", "bh". Throws std::invalid_argument naming these.
Adjustment parse_adjustment(const std::string& name);
const char* adjustment_name(Adjustment adjustment);

struct PairedRequest {
  std::string base, candidate;  // as select_row reads them
  std::optional<int64_t> seed;  // of both; unset: the lowest that both have
  Adjustment adjustment = Adjustment::kHolm;
};

struct PairedRow {
  Column column;  // what the items are of: its metric is theirs
  ItemScore score = ItemScore::kRight;
  double base = 0, candidate = 0;
  std::optional<NllDrift> drift;
  PairedDifference difference;
  Interval bootstrap;  // of the difference, 95 %
  std::optional<McNemarTest> mcnemar;
  // McNemar's exact one where items are right or wrong and each is a cluster of its own, else the difference's.
  double p_value = 1;
  double adjusted_p = 1;                    // over the rows of the table
  std::optional<double> detectable_effect;  // at 5 % with a chance of 80 %; none where no item differs
};

// What one side of the comparison is.
struct PairedSide {
  std::string title;  // row_title
  std::string model, dtype;
  std::vector<int64_t> seeds;   // that were measured, ascending
  std::optional<int64_t> seed;  // that is compared; none of a dense parent, which has none
};

struct PairedTable {
  PairedSide base, candidate;
  Adjustment adjustment = Adjustment::kHolm;
  std::vector<PairedRow> rows;     // in the order in which base measured them
  std::vector<std::string> notes;  // what was left out, and why; a sentence each
};

// Throws std::invalid_argument as select_row does, and if both are the same row, have no such seed, or have no items in
// common.
PairedTable compare_pairs(const ResultStore& store, const PairedRequest& request);

}  // namespace moebench
