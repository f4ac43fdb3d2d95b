// The three stages of a sweep, each over the cells of one model that are still to be done.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "harness/pipeline/artifact_folder.h"
#include "harness/pipeline/progress.h"
#include "harness/pipeline/sweep_plan.h"
#include "results/result_store.h"

namespace moebench {

struct StageContext {
  const SweepPlan& plan;
  const PlannedModel& model;
  ResultStore& store;
  const ArtifactFolder& artifacts;
  SweepProgress& progress;
};

// Conversions of the model, by index, that one pass over their calibration text makes.
using ConversionPass = std::vector<size_t>;

// todo: indices into the model's conversions that have no error.
std::vector<ConversionPass> conversion_passes(const PlannedModel& model, const std::vector<size_t>& todo);

// expect_… tells the progress what is to come; run_… does it, records every cell, and returns which
// conversions failed, or how many measurements.
void expect_conversions(const std::vector<ConversionPass>& passes, SweepProgress& progress);
std::vector<size_t> run_conversions(const StageContext& context, const std::vector<ConversionPass>& passes);

// todo: indices into the model's measurements that have no error and whose conversions are done.
void expect_measurements(const StageContext& context, const std::vector<size_t>& todo);
int64_t run_measurements(const StageContext& context, const std::vector<size_t>& todo);

// todo: indices into the model's retrainings whose conversions are done and some mark of which is missing.
void expect_retrainings(const StageContext& context, const std::vector<size_t>& todo);
std::vector<size_t> run_retrainings(const StageContext& context, const std::vector<size_t>& todo);

// The name in the artifacts of the conversion that is measured, as it is or retrained. thing.conversion is set.
std::string conversion_file_key(const PlannedModel& model, const MeasuredThing& thing);

// Runs step. What it throws, but for Interrupted and TryAgainError, is the cell's failure: a run with that reason.
// Returns whether it went well.
bool record_failure(const StageContext& context, const SweepCell& cell, const std::function<void()>& step);
void add_failed_run(const StageContext& context, const SweepCell& cell, double started, const std::string& error);

}  // namespace moebench
