#include "harness/pipeline/night_run.h"

#include "harness/content_hash.h"
#include "harness/error.h"
#include "harness/pipeline/run_record.h"
#include "harness/pipeline/sweep_run.h"

namespace moebench {
namespace {

std::set<std::string> timed_cells(const SweepPlan& plan) {
  std::set<std::string> cells;
  for (const PlannedModel& model : plan.models) {
    for (const PlannedMeasurement& measurement : model.measurements) {
      const bool is_timed = plan.tasks[measurement.task].task->measures_time();
      if (is_timed && measurement.cell.error.empty()) cells.insert(measurement.cell.key());
    }
  }
  return cells;
}

std::filesystem::path database_in(const std::filesystem::path& folder) { return folder / "night.sqlite"; }

}  // namespace

NightRun::NightRun(const SweepPlan& plan, std::filesystem::path folder, std::function<SweepProgress()> progress)
    : plan_(plan),
      folder_(std::move(folder)),
      progress_(std::move(progress)),
      artifacts_(database_in(folder_)),
      id_(random_uuid()),
      timed_(timed_cells(plan)) {
  std::error_code error;
  std::filesystem::remove_all(folder_, error);
  if (!error) std::filesystem::create_directories(folder_, error);
  if (error) throw TryAgainError(folder_.string() + ": cannot be written (" + error.message() + ")");
  artifacts_.lock();
  store_ = std::make_unique<ResultStore>(database_in(folder_), ResultStore::Mode::kReadWrite);
  store_->set_context(this_machine(), this_build());
}

NightRun::~NightRun() {
  store_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

void NightRun::measure(int64_t num_rounds) {
  sweep();
  std::set<std::string> all;
  for (const RunRecord& run : store_->runs()) all.insert(run.cell_key);
  collect(all);
  for (int64_t more = 1; more < num_rounds && failed_ == 0; ++more) repeat(timed_);
}

void NightRun::measure_again(const std::set<std::string>& cells, int64_t num_rounds) {
  for (int64_t more = 0; more < num_rounds && failed_ == 0; ++more) repeat(cells);
}

void NightRun::sweep() {
  SweepProgress progress = progress_();
  failed_ += run_sweep(plan_, *store_, artifacts_, progress).failed;
}

void NightRun::repeat(const std::set<std::string>& cells) {
  if (cells.empty()) return;
  ++round_;
  for (const std::string& cell : cells) store_->forget(cell);
  sweep();
  collect(cells);
}

void NightRun::collect(const std::set<std::string>& cells) {
  for (RunRecord run : store_->runs()) {
    if (!cells.contains(run.cell_key)) continue;
    run.items = store_->items(run.uuid);
    run.artifacts.clear();
    run.config["night"] = {
        {"id", id_}, {"sweep", plan_.spec.name}, {"round", round_}, {"timed", timed_.contains(run.cell_key)}};
    run.cell_key = content_hash(nlohmann::json{{"cell", run.cell_key}, {"night", id_}, {"round", round_}});
    runs_.push_back(std::move(run));
  }
}

std::string measured_cell(const RunRecord& run) { return content_hash(identity_of(run)); }

}  // namespace moebench
