// What `nightly` and `bisect` share: measuring a sweep often enough for a verdict.
#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include <CLI/CLI.hpp>

#include "harness/pipeline/sweep_plan.h"
#include "results/night_comparison.h"

namespace moebench {

struct NightArguments {
  int64_t num_rounds = 11;
  int64_t num_retries = 2;  // where they were inconclusive, each as many rounds again
  double min_slowdown_percent = 3;
};

void add_night_arguments(CLI::App& command, NightArguments& arguments);

VerdictRule verdict_rule(const NightArguments& arguments);

struct MeasuredNight {
  std::vector<RunRecord> runs;  // with items, as a history keeps them
  Night night;                  // of them
  NightTable table;
};

// folder: for this alone, removed afterwards. compare: with what there is; none: only measured. A timed cell with an
// inconclusive metric is measured again, all its rounds counting, until it is not or the retries are used up.
MeasuredNight measure_night(const SweepPlan& plan, const std::filesystem::path& folder, const NightArguments& arguments,
                            const std::function<NightTable(const Night&)>& compare);

// The items of a run: of those that are in memory, or of a store.
std::function<std::vector<Item>(const RunRecord&)> item_reader(const ResultStore& store);

}  // namespace moebench
