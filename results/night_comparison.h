// A night against a baseline, metric by metric: the table of verdicts and the exit code.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "results/baseline_nights.h"
#include "results/night.h"
#include "results/verdict.h"

namespace moebench {

enum class MetricRule { kCounter, kQuality, kTiming };
const char* rule_name(MetricRule rule);  // counter, quality, timing

enum class RowStatus {
  kJudged,
  kNew,            // the baseline has no such series
  kNotComparable,  // it has, of another machine, data or version
  kMissing,        // the baseline has it, tonight has not
};

struct NightRow {
  std::string subject, metric, unit;  // of quality on items, the name of the items
  Direction direction = Direction::kNeither;
  MetricRule rule = MetricRule::kCounter;
  RowStatus status = RowStatus::kJudged;
  Verdict verdict = Verdict::kOk;
  double base = 0, tonight = 0;      // medians of rounds, means of items, values
  int64_t n = 1;                     // rounds of tonight, or items of both
  std::optional<Evidence> evidence;  // of timing and quality on items
  double adjusted_p = 1;             // Benjamini and Hochberg's over the table
  std::string note;                  // why it does not compare, or since when it is so; "" if there is nothing to say
  const RunRecord* base_run = nullptr;  // the first of those that are compared with; null if new
  const NightSeries* series = nullptr;  // of tonight, null if missing

  bool is(Verdict of) const { return status == RowStatus::kJudged && verdict == of; }
};

struct NightTable {
  std::string title, baseline;        // "tiny, 2026-11-20 02:00 UTC", Baseline::title
  std::vector<NightRow> rows;         // in the order of measuring, then what is missing
  std::vector<std::string> failures;  // "tiny cmoe S3A3E8, seed 0 perplexity: out of memory"
};

struct NightContext {
  std::vector<Night> before;  // oldest first: the history that says what is usual, and since when it is not
  std::function<std::vector<Item>(const RunRecord&)> items;
  VerdictRule rule;
};

// Pointers in the result are tonight's, and to the baseline's runs.
NightTable compare_night(const Night& tonight, const Baseline& baseline, const NightContext& context);

// 1 regression; 4 a cell failed; 5 something does not compare, is missing, or has no baseline at all; 6 inconclusive,
// if strict; 0. The first of these that is so.
int night_exit_code(const NightTable& table, bool strict);

}  // namespace moebench
