// A night's verdicts as files that others read: a comment, a test report, dashboards' JSON.
#pragma once

#include <string>

#include "results/night_comparison.h"

namespace moebench {

struct NightFooter {
  std::string machine, build, command;  // the command that makes it again
};

// "**1 regression** in 14 metrics against baseline 'accepted'".
std::string night_summary(const NightTable& table);

// The summary, what is not ok, and the whole table: behind a fold where is_collapsible, as in a comment on GitHub.
std::string render_night_markdown(const NightTable& table, const NightFooter& footer, bool is_collapsible);

// JUnit: a test case each row. A regression is a failure, a failed cell an error; what was not judged is skipped.
std::string render_night_junit(const NightTable& table);

// Google Benchmark's: one entry for each run (wall seconds, its metrics as counters), one for each sample in seconds.
std::string render_night_google_benchmark(const Night& night);

// Bencher Metric Format: {subject: {metric: {"value", "lower_value", "upper_value"}}}; of times the quartiles.
std::string render_night_bencher(const Night& night);

// github-action-benchmark's customSmallerIsBetter or customBiggerIsBetter: the metrics of that direction.
std::string render_night_github_action(const Night& night, Direction direction);

}  // namespace moebench
