#include "results/result_store.h"

#include "results/baseline_rows.h"
#include "results/database.h"
#include "results/journal_mode.h"
#include "results/open_results.h"
#include "results/run_reader.h"
#include "results/run_writer.h"
#include "results/summary.h"

namespace moebench {

struct ResultStore::State {
  Database database;
  bool is_writer;
  MachineRecord machine;
  BuildRecord build;

  void add(const RunRecord& run) const;  // within a write transaction
};

ResultStore::ResultStore(const std::filesystem::path& path, Mode mode, std::chrono::milliseconds lock_timeout) {
  const bool is_writer = mode == Mode::kReadWrite;
  Database database = open_results(path, is_writer ? OpenMode::kReadWrite : OpenMode::kReadOnly, lock_timeout);
  if (is_writer) use_write_ahead_log(database);
  state_ = std::make_unique<State>(State{std::move(database), is_writer, {}, {}});
}

ResultStore::~ResultStore() {
  if (state_->is_writer) leave_write_ahead_log(state_->database);
}

void ResultStore::set_context(const MachineRecord& machine, const BuildRecord& build) {
  state_->machine = machine;
  state_->build = build;
}

void ResultStore::State::add(const RunRecord& run) const {
  Statement completed(database, "SELECT 1 FROM run WHERE cell_key = ? AND status = 'completed'");
  if (completed.bind(run.cell_key).step()) return;
  delete_runs(database, run.cell_key);
  insert_run(database, run, machine_id(database, machine), build_id(database, build));
}

void ResultStore::add(const RunRecord& run) {
  Transaction transaction(state_->database, Transaction::Kind::kWrite);
  state_->add(run);
  transaction.commit();
}

void ResultStore::add_night(const std::vector<RunRecord>& runs, const std::vector<ComparisonRecord>& comparisons) {
  Transaction transaction(state_->database, Transaction::Kind::kWrite);
  for (const RunRecord& run : runs) state_->add(run);
  for (const ComparisonRecord& comparison : comparisons) insert_comparison(state_->database, comparison);
  transaction.commit();
}

void ResultStore::set_baseline(const BaselineRecord& baseline) {
  Transaction transaction(state_->database, Transaction::Kind::kWrite);
  insert_baseline(state_->database, baseline);
  transaction.commit();
}

std::vector<BaselineRecord> ResultStore::baselines() const { return read_baselines(state_->database); }

void ResultStore::forget(const std::string& cell_key) {
  Transaction transaction(state_->database, Transaction::Kind::kWrite);
  delete_runs(state_->database, cell_key);
  transaction.commit();
}

std::vector<RunRecord> ResultStore::runs() const {
  const Transaction transaction(state_->database, Transaction::Kind::kRead);
  return read_runs(state_->database);
}

std::vector<Item> ResultStore::items(const std::string& uuid) const { return read_items(state_->database, uuid); }

nlohmann::ordered_json ResultStore::summary() const { return read_summary(state_->database); }

}  // namespace moebench
