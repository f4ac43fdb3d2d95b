// What a reader must know to judge the table: what the marks mean, what was measured, what failed. As plain sentences.
#pragma once

#include <string>
#include <vector>

#include "results/table.h"

namespace moebench {

// Of the shared words that the renderers mark in their own way.
constexpr const char* kRankSentence =
    "mean at the same active FFN size and retraining; the dense parent and bounds do not compete.";
constexpr const char* kCalibrationMark = "†";
constexpr const char* kRetrainingMark = "‡";

struct TableLegend {
  bool has_ranks = false;           // then say: best and second best, kRankSentence
  std::vector<std::string> before;  // sentences: what ± is
  std::vector<std::string> marks;   // sentences: bounds, daggers, costs; only of what the table has
  std::vector<std::string> facts;   // "float32; seeds 0, 1", what each column was measured over, the machine
  std::vector<std::string> warnings;
  std::vector<std::string> failures;  // "cmoe S3A3E7, convert, seed 0: out of memory"
};

TableLegend table_legend(const Table& table);

}  // namespace moebench
