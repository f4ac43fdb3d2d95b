// One night's measuring: a sweep from nothing, whatever a database holds, its times in several rounds.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "harness/pipeline/artifact_folder.h"
#include "harness/pipeline/progress.h"
#include "harness/pipeline/sweep_plan.h"
#include "results/result_store.h"

namespace moebench {

class NightRun {
 public:
  // folder: of this night alone; what is in it goes, before and afterwards. progress makes one for each round. plan is
  // not owned.
  NightRun(const SweepPlan& plan, std::filesystem::path folder, std::function<SweepProgress()> progress);
  ~NightRun();

  // Converts, retrains and measures everything, then what is timed num_rounds - 1 times more, all cells in turn each
  // time. A night in which a cell failed is not timed further. Throws as run_sweep does.
  void measure(int64_t num_rounds);

  // num_rounds more of these timed cells, by SweepCell::key.
  void measure_again(const std::set<std::string>& cells, int64_t num_rounds);

  // All so far, as a history keeps them: with "night" in their config and a key of the night's own, items included,
  // without artifacts.
  const std::vector<RunRecord>& runs() const { return runs_; }

 private:
  void sweep();
  void collect(const std::set<std::string>& cells);  // as they were measured in this round
  void repeat(const std::set<std::string>& cells);

  const SweepPlan& plan_;
  std::filesystem::path folder_;
  std::function<SweepProgress()> progress_;
  ArtifactFolder artifacts_;
  std::unique_ptr<ResultStore> store_;
  std::string id_;
  std::set<std::string> timed_;  // keys of cells
  std::vector<RunRecord> runs_;
  int64_t round_ = 0, failed_ = 0;
};

// Of a run that a night measured: the SweepCell::key of what it is a round of.
std::string measured_cell(const RunRecord& run);

}  // namespace moebench
