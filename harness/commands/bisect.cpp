// moebench bisect: is this commit good or bad in one metric? For `git bisect run`.
#include <cmath>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

#include "harness/commands/commands.h"
#include "harness/commands/measured_night.h"
#include "harness/commands/sweep_arguments.h"
#include "harness/interrupt.h"
#include "harness/pipeline/run_record.h"
#include "results/cell_text.h"
#include "results/chosen_baseline.h"
#include "results/number_format.h"
#include "results/two_samples.h"

namespace moebench {
namespace {

// What `git bisect run` reads.
constexpr int kGood = 0, kBad = 1, kSkip = 125;

struct BisectArguments {
  SweepArguments sweep;
  NightArguments night;
  std::string metric, subject;
  std::optional<double> good;
  double tolerance_percent = 0.01;
  std::string baseline = "last";
};

bool is_chosen(const BisectArguments& arguments, const std::string& metric, const std::string& subject) {
  return metric == arguments.metric && subject.find(arguments.subject) != std::string::npos;
}

// How much worse than good, as a share; of what has no better direction any change.
Evidence against_value(const NightSeries& series, double good, double threshold) {
  const bool higher_is_better = series.metric.direction == Direction::kHigherIsBetter;
  const MedianRatio ratio =
      higher_is_better ? median_ratio(series.samples, {good}, 0) : median_ratio({good}, series.samples, 0);
  Evidence evidence{ratio.ratio - 1, {ratio.interval.low - 1, ratio.interval.high - 1}, threshold};
  if (series.metric.direction == Direction::kNeither) {
    evidence.worsening = std::abs(evidence.worsening);
    evidence.interval = {evidence.worsening, evidence.worsening};
  }
  return evidence;
}

Verdict verdict_on(const Evidence& evidence) {
  if (evidence.interval.low > evidence.threshold) return Verdict::kRegressed;
  return evidence.interval.high > evidence.threshold ? Verdict::kInconclusive : Verdict::kOk;
}

NightTable compare_with_value(const Night& night, const BisectArguments& arguments) {
  NightTable table;
  for (const NightSeries& series : night.series) {
    if (!is_chosen(arguments, series.metric.name, series.subject)) continue;
    const double percent = series.is_timed ? arguments.night.min_slowdown_percent : arguments.tolerance_percent;
    NightRow row{.subject = series.subject,
                 .metric = series.metric.name,
                 .rule = series.is_timed ? MetricRule::kTiming : MetricRule::kCounter,
                 .base = *arguments.good,
                 .tonight = series.value(),
                 .series = &series};
    row.evidence = against_value(series, *arguments.good, percent / 100);
    row.verdict = verdict_on(*row.evidence);
    table.rows.push_back(std::move(row));
  }
  return table;
}

// Only the rows that are asked for, and no failure of another cell's.
NightTable only_chosen(NightTable table, const BisectArguments& arguments) {
  std::erase_if(table.rows, [&](const NightRow& row) {
    const bool is_chosen_series = row.series != nullptr && is_chosen(arguments, row.series->metric.name, row.subject);
    return !is_chosen_series && !is_chosen(arguments, row.metric, row.subject);
  });
  return table;
}

int exit_code_of(const NightTable& table) {
  bool is_certain = !table.rows.empty();
  for (const NightRow& row : table.rows) {
    if (row.is(Verdict::kRegressed)) return kBad;
    is_certain = is_certain && (row.is(Verdict::kOk) || row.is(Verdict::kImproved));
  }
  return is_certain ? kGood : kSkip;
}

void explain(const NightTable& table, const BisectArguments& arguments) {
  for (const NightRow& row : table.rows) {
    const std::string verdict = row.status == RowStatus::kJudged ? verdict_name(row.verdict) : "not comparable";
    fmt::print("{} {}: {} then, {} now: {}{}\n", row.subject, one_line(row.metric), format_number(row.base),
               format_number(row.tonight), verdict, row.note.empty() ? "" : " (" + row.note + ")");
  }
  for (const std::string& failure : table.failures) fmt::print("failed: {}\n", failure);
  if (table.rows.empty()) fmt::print("nothing measured the metric {}\n", one_line(arguments.metric));
}

MeasuredNight measure(const BisectArguments& arguments) {
  const SweepSpec spec = read_sweep(arguments.sweep);
  const SweepPlan plan = plan_sweep(spec);
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / ("moebench-bisect-" + random_uuid());
  if (arguments.good) {
    return measure_night(plan, folder, arguments.night,
                         [&](const Night& night) { return compare_with_value(night, arguments); });
  }
  const ResultStore store(database_path(arguments.sweep, spec), ResultStore::Mode::kReadOnly);
  const std::vector<RunRecord> runs = store.runs();
  std::vector<Night> nights = read_nights(runs);
  std::erase_if(nights, [&](const Night& night) { return night.sweep != spec.name; });
  const ChosenBaseline baseline(arguments.baseline, store.baselines(), runs, nights);
  const NightContext context{nights, item_reader(store), verdict_rule(arguments.night)};
  return measure_night(plan, folder, arguments.night, [&](const Night& night) {
    return only_chosen(compare_night(night, baseline.against(night), context), arguments);
  });
}

int bisect(const BisectArguments& arguments) {
  handle_interrupts();
  try {
    const MeasuredNight measured = measure(arguments);
    explain(measured.table, arguments);
    return exit_code_of(measured.table);
  } catch (const Interrupted&) {
    throw;
  } catch (const std::exception& error) {
    // Whatever keeps this commit from being measured says nothing of the change that is looked for.
    fmt::print(stderr, "moebench: {}\n", one_line(error.what()));
    return kSkip;
  }
}

}  // namespace

std::function<int()> define_bisect(CLI::App& command) {
  auto arguments = std::make_shared<BisectArguments>();
  add_sweep_arguments(command, arguments->sweep);
  add_night_arguments(command, arguments->night);
  command.add_option("--metric", arguments->metric, "as the nightly table names it")->required();
  command.add_option("--subject", arguments->subject, "only rows whose model has this in its title (default: all)");
  CLI::Option* good = command.add_option("--good", arguments->good, "the good value, above 0");
  // CLI11's own check writes the largest double out.
  good->check(CLI::Validator(
      [](const std::string& text) {
        double value = 0;
        const bool is_number = CLI::detail::lexical_cast(text, value);
        return is_number && value > 0 && std::isfinite(value) ? std::string() : text + " is not a number above 0";
      },
      "POSITIVE"));
  command
      .add_option("--tolerance", arguments->tolerance_percent,
                  "with --good: per cent that a metric other than a time may be worse")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  command
      .add_option("--baseline", arguments->baseline,
                  "the good night in --db, as `nightly --baseline` takes it, instead of --good")
      ->excludes(good)
      ->capture_default_str();
  command.footer(
      "Exit code: 0 good, 1 bad, 125 neither (a cell failed, no such metric, not comparable, inconclusive after all\n"
      "retries): what `git bisect run` wants. Narrow the sweep with --set to what makes the metric. Try the command\n"
      "once by hand: a mistyped option is exit code 2, which git takes for bad.\n\n"
      "  git bisect start HEAD v1.0\n"
      "  git bisect run sh -c 'scripts/build || exit 125; build/release/moebench bisect sweeps/nightly.toml \\\n"
      "    --metric kernel_latency/float32/tokens-16/time_over_dense --subject cmoe --good 0.61'");
  return [arguments] { return bisect(*arguments); };
}

}  // namespace moebench
