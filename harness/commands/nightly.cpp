// moebench nightly: a sweep measured again, against an earlier night.
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "harness/commands/command_line.h"
#include "harness/commands/commands.h"
#include "harness/commands/measured_night.h"
#include "harness/commands/output_file.h"
#include "harness/commands/sweep_arguments.h"
#include "harness/error.h"
#include "harness/interrupt.h"
#include "harness/pipeline/run_record.h"
#include "results/cell_text.h"
#include "results/chosen_baseline.h"
#include "results/render_night.h"

namespace moebench {
namespace {

namespace fs = std::filesystem;

constexpr int kNotComparable = 5;

struct NightlyArguments {
  SweepArguments sweep;
  NightArguments night;
  std::string baseline = "best";
  bool is_strict = false;
  std::string output_folder;  // --output-path; "": no files
};

// The history as it was before tonight, of this sweep.
struct History {
  std::vector<RunRecord> runs;
  std::vector<Night> nights;
};

History read_history(const ResultStore& store, const std::string& sweep) {
  History history{.runs = store.runs()};
  history.nights = read_nights(history.runs);
  std::erase_if(history.nights, [&](const Night& night) { return night.sweep != sweep; });
  constexpr size_t kNights = 90;
  const size_t too_old = history.nights.size() - std::min(history.nights.size(), kNights);
  history.nights.erase(history.nights.begin(), history.nights.begin() + static_cast<std::ptrdiff_t>(too_old));
  return history;
}

// A named baseline that is not there is said before hours are spent; a first night has nothing to compare with, and is
// measured all the same.
std::optional<ChosenBaseline> choose_baseline(const std::string& name, const ResultStore& store,
                                              const History& history) {
  const bool is_first_night = history.nights.empty() && (name == "best" || name == "last");
  if (is_first_night) return std::nullopt;
  return ChosenBaseline(name, store.baselines(), history.runs, history.nights);
}

ComparisonRecord record_of(const NightRow& row, const VerdictRule& rule) {
  ComparisonRecord record{.base_uuid = row.base_run->uuid,
                          .new_uuid = row.series->runs.front()->uuid,
                          .metric = row.series->metric.name,
                          .delta = row.evidence ? row.evidence->worsening : row.tonight - row.base,
                          .verdict = verdict_name(row.verdict),
                          .rule = {{"rule", rule_name(row.rule)}, {"level", rule.level}}};
  if (!row.evidence) return record;
  record.p = row.adjusted_p;
  record.low = row.evidence->interval.low;
  record.high = row.evidence->interval.high;
  record.rule["threshold"] = row.evidence->threshold;
  return record;
}

std::vector<ComparisonRecord> records_of(const NightTable& table, const VerdictRule& rule) {
  std::vector<ComparisonRecord> records;
  for (const NightRow& row : table.rows) {
    if (row.status == RowStatus::kJudged) records.push_back(record_of(row, rule));
  }
  return records;
}

void write_files(const fs::path& folder, const MeasuredNight& measured, const NightFooter& footer) {
  if (folder.empty()) return;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw TryAgainError("--output-path " + folder.string() + ": cannot be made (" + error.message() + ")");
  write_output(folder / "nightly.md", render_night_markdown(measured.table, footer, /*is_collapsible=*/true));
  write_output(folder / "junit.xml", render_night_junit(measured.table));
  write_output(folder / "google_benchmark.json", render_night_google_benchmark(measured.night));
  write_output(folder / "bencher.json", render_night_bencher(measured.night));
  write_output(folder / "benchmark_action_smaller_is_better.json",
               render_night_github_action(measured.night, Direction::kLowerIsBetter));
  write_output(folder / "benchmark_action_bigger_is_better.json",
               render_night_github_action(measured.night, Direction::kHigherIsBetter));
}

int measure_and_compare(const NightlyArguments& arguments) {
  const SweepSpec spec = read_sweep(arguments.sweep);
  const fs::path database = database_path(arguments.sweep, spec);
  read_recorded(database);  // refuses an unusable database before the weights are hashed
  const SweepPlan plan = plan_sweep(spec);
  ArtifactFolder folder(database);
  folder.lock();  // two at once would disturb each other's times
  ResultStore store(database, ResultStore::Mode::kReadWrite);
  store.set_context(this_machine(), this_build());
  const History history = read_history(store, spec.name);
  const std::optional<ChosenBaseline> baseline = choose_baseline(arguments.baseline, store, history);

  const NightContext context{history.nights, item_reader(store), verdict_rule(arguments.night)};
  const MeasuredNight measured =
      measure_night(plan, database.string() + ".night", arguments.night, [&](const Night& tonight) {
        return compare_night(tonight, baseline ? baseline->against(tonight) : Baseline{.title = "nothing"}, context);
      });
  store.add_night(measured.runs, records_of(measured.table, context.rule));
  const NightFooter footer{measured.night.machine_class, measured.night.build, this_command_line()};
  std::fputs(render_night_markdown(measured.table, footer, /*is_collapsible=*/false).c_str(), stdout);
  write_files(arguments.output_folder, measured, footer);
  if (!baseline) fmt::print(stderr, "the first night of this sweep: nothing to compare with yet; it is kept\n");
  return night_exit_code(measured.table, arguments.is_strict);
}

int nightly(const NightlyArguments& arguments) {
  handle_interrupts();
  try {
    return measure_and_compare(arguments);
  } catch (const MissingBaseline& error) {
    fmt::print(stderr, "moebench: {}\n", one_line(error.what()));
    return kNotComparable;
  } catch (const Interrupted&) {
    fmt::print(stderr, "interrupted; of this night nothing is kept\n");
    throw;
  }
}

}  // namespace

std::function<int()> define_nightly(CLI::App& command) {
  auto arguments = std::make_shared<NightlyArguments>();
  add_sweep_arguments(command, arguments->sweep);
  add_night_arguments(command, arguments->night);
  command
      .add_option("--baseline", arguments->baseline,
                  "what is compared with: best (of the last 30 nights, metric by metric), last, commit:SHA, or a name "
                  "that `baseline set` has given")
      ->capture_default_str();
  command.add_flag("--strict", arguments->is_strict, "an inconclusive metric is exit code 6, not 0");
  command
      .add_option("--output-path", arguments->output_folder,
                  "folder for nightly.md, junit.xml, google_benchmark.json, bencher.json and "
                  "benchmark_action_{smaller,bigger}_is_better.json")
      ->type_name("DIR");
  command.footer(
      "Converts and measures everything again, whatever the database holds, and adds the night to it.\n"
      "Exit code: 0 ok, 1 a regression, 4 a cell failed, 5 nothing to compare with or not comparable (another "
      "machine,\n"
      "data or version; the table names the field), 6 inconclusive with --strict, 75 try again.\n\n"
      "  moebench nightly sweeps/nightly.toml --db nightly.sqlite --output-path nightly\n"
      "  moebench nightly sweeps/nightly.toml --db nightly.sqlite --baseline accepted --strict\n"
      "  moebench nightly sweeps/nightly.toml --db nightly.sqlite --baseline commit:$(git merge-base HEAD main)");
  return [arguments] { return nightly(*arguments); };
}

}  // namespace moebench
