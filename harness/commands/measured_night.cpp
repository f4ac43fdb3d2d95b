#include "harness/commands/measured_night.h"

#include <set>

#include <fmt/format.h>

#include "harness/commands/terminal_progress.h"
#include "harness/pipeline/night_run.h"

namespace moebench {
namespace {

std::vector<const RunRecord*> pointers_to(const std::vector<RunRecord>& runs) {
  std::vector<const RunRecord*> pointers;
  for (const RunRecord& run : runs) pointers.push_back(&run);
  return pointers;
}

std::set<std::string> inconclusive_cells(const NightTable& table) {
  std::set<std::string> cells;
  for (const NightRow& row : table.rows) {
    const bool is_timing = row.rule == MetricRule::kTiming && row.is(Verdict::kInconclusive);
    if (is_timing) cells.insert(measured_cell(*row.series->runs.front()));
  }
  return cells;
}

}  // namespace

void add_night_arguments(CLI::App& command, NightArguments& arguments) {
  command.add_option("--rounds", arguments.num_rounds, "how often times are measured, all cells in turn")
      ->check(CLI::Range(int64_t{1}, int64_t{1000}))
      ->capture_default_str();
  command
      .add_option("--retries", arguments.num_retries,
                  "how often a cell whose times are inconclusive gets as many rounds again")
      ->check(CLI::Range(int64_t{0}, int64_t{20}))
      ->capture_default_str();
  command
      .add_option("--min-slowdown", arguments.min_slowdown_percent,
                  "per cent that a time has to change to matter, where the history does not move more")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
}

VerdictRule verdict_rule(const NightArguments& arguments) {
  VerdictRule rule;
  rule.min_slowdown = arguments.min_slowdown_percent / 100;
  return rule;
}

MeasuredNight measure_night(const SweepPlan& plan, const std::filesystem::path& folder, const NightArguments& arguments,
                            const std::function<NightTable(const Night&)>& compare) {
  NightRun run(plan, folder, terminal_progress);
  run.measure(arguments.num_rounds);
  MeasuredNight measured;
  for (int64_t retry = 0;; ++retry) {
    measured.runs = run.runs();
    measured.night = make_night(pointers_to(measured.runs));
    if (!compare) return measured;
    measured.table = compare(measured.night);
    const std::set<std::string> cells = inconclusive_cells(measured.table);
    if (cells.empty() || retry == arguments.num_retries || !measured.table.failures.empty()) return measured;
    fmt::print(stderr, "inconclusive: measuring the times of {} cells again\n", cells.size());
    run.measure_again(cells, arguments.num_rounds);
  }
}

std::function<std::vector<Item>(const RunRecord&)> item_reader(const ResultStore& store) {
  return [&store](const RunRecord& run) { return run.items.empty() ? store.items(run.uuid) : run.items; };
}

}  // namespace moebench
