// The formats of other programs: JUnit, Google Benchmark, Bencher, github-action-benchmark.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "results/cell_text.h"
#include "results/csv_line.h"
#include "results/markup.h"
#include "results/render_night.h"
#include "results/resampling.h"

namespace moebench {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string element(const std::string& name, const std::string& message) {
  return "<" + name + " message=\"" + escape_markup(message) + "\"/>";
}

std::string outcome_of(const NightRow& row) {
  switch (row.status) {
    case RowStatus::kNew:
      return element("skipped", "new: the baseline has no such series");
    case RowStatus::kNotComparable:
      return element("skipped", "not comparable: " + row.note);
    case RowStatus::kMissing:
      return element("error", "missing: " + row.note);
    case RowStatus::kJudged:
      break;
  }
  const std::string change = exact(row.base) + " then, " + exact(row.tonight) + " now" +
                             (row.evidence ? ", adjusted p " + exact(row.adjusted_p) : "") +
                             (row.note.empty() ? "" : "; " + row.note);
  if (row.verdict == Verdict::kRegressed) return element("failure", "regressed: " + change);
  return row.verdict == Verdict::kInconclusive ? element("skipped", "inconclusive: " + change) : "";
}

std::string test_case(const std::string& subject, const std::string& name, const std::string& outcome) {
  return "  <testcase classname=\"" + escape_markup(subject) + "\" name=\"" + escape_markup(name) + "\"" +
         (outcome.empty() ? "/>" : ">" + outcome + "</testcase>") + "\n";
}

// JSON has no number for it; these formats want one.
bool is_number(const NightSeries& series) { return std::isfinite(series.value()); }

std::string dump(const OrderedJson& json) { return json.dump(2) + "\n"; }

std::string full_name(const NightSeries& series) { return one_line(series.subject + "/" + series.metric.name); }

OrderedJson timed_entry(const std::string& name, double seconds, size_t repetition, size_t repetitions) {
  return {{"name", name},
          {"run_name", name},
          {"run_type", "iteration"},
          {"repetitions", repetitions},
          {"repetition_index", repetition},
          {"threads", 1},
          {"iterations", 1},
          {"real_time", seconds},
          {"cpu_time", seconds},
          {"time_unit", "s"}};
}

std::string run_name(const RunRecord& run) {
  const nlohmann::json task = run.config.value("task", nlohmann::json());
  return one_line(subject_of(run) + "/" + (task.is_string() ? task.get<std::string>() : run.stage));
}

// Each run once, the rounds of one cell together.
std::map<std::string, std::vector<const RunRecord*>> runs_by_name(const Night& night) {
  std::map<std::string, std::vector<const RunRecord*>> runs;
  std::set<const RunRecord*> seen;
  for (const NightSeries& series : night.series) {
    for (const RunRecord* run : series.runs) {
      if (seen.insert(run).second) runs[run_name(*run)].push_back(run);
    }
  }
  return runs;
}

}  // namespace

std::string render_night_junit(const NightTable& table) {
  std::string cases;
  size_t failures = 0, errors = table.failures.size(), skipped = 0;
  for (const NightRow& row : table.rows) {
    const std::string outcome = outcome_of(row);
    failures += outcome.starts_with("<failure");
    errors += outcome.starts_with("<error");
    skipped += outcome.starts_with("<skipped");
    cases += test_case(row.subject, row.metric, outcome);
  }
  for (const std::string& failure : table.failures) cases += test_case(table.title, failure, element("error", failure));
  const std::string counts = "tests=\"" + std::to_string(table.rows.size() + table.failures.size()) + "\" failures=\"" +
                             std::to_string(failures) + "\" errors=\"" + std::to_string(errors) + "\" skipped=\"" +
                             std::to_string(skipped) + "\"";
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"" +
         escape_markup(table.title + " against " + table.baseline) + "\" " + counts + ">\n" + cases + "</testsuite>\n";
}

std::string render_night_google_benchmark(const Night& night) {
  OrderedJson entries = OrderedJson::array();
  for (const auto& [name, runs] : runs_by_name(night)) {
    for (size_t repetition = 0; repetition < runs.size(); ++repetition) {
      const RunRecord& run = *runs[repetition];
      OrderedJson entry = timed_entry(name, run.ended - run.started, repetition, runs.size());
      for (const Metric& metric : run.metrics) {
        if (std::isfinite(metric.value) && !entry.contains(metric.name)) entry[one_line(metric.name)] = metric.value;
      }
      entries.push_back(std::move(entry));
    }
  }
  for (const NightSeries& series : night.series) {
    if (series.metric.unit != "s") continue;
    for (size_t sample = 0; sample < series.samples.size(); ++sample) {
      if (!std::isfinite(series.samples[sample])) continue;
      entries.push_back(timed_entry(full_name(series), series.samples[sample], sample, series.samples.size()));
    }
  }
  return dump({{"context",
                {{"date", night_date(night)},
                 {"executable", "moebench"},
                 {"machine_class", one_line(night.machine_class)},
                 {"build", one_line(night.build)},
                 {"night", one_line(night.id)},
                 {"sweep", one_line(night.sweep)}}},
               {"benchmarks", entries}});
}

std::string render_night_bencher(const Night& night) {
  OrderedJson benchmarks = OrderedJson::object();
  for (const NightSeries& series : night.series) {
    if (!is_number(series)) continue;
    OrderedJson measure = {{"value", series.value()}};
    if (series.samples.size() > 1) {
      std::vector<double> samples = series.samples;
      std::sort(samples.begin(), samples.end());
      measure["lower_value"] = sorted_quantile(samples, 0.25);
      measure["upper_value"] = sorted_quantile(samples, 0.75);
    }
    benchmarks[one_line(series.subject)][one_line(series.metric.name)] = measure;
  }
  return dump(benchmarks);
}

std::string render_night_github_action(const Night& night, Direction direction) {
  OrderedJson entries = OrderedJson::array();
  for (const NightSeries& series : night.series) {
    if (series.metric.direction != direction || !is_number(series)) continue;
    OrderedJson entry = {
        {"name", full_name(series)}, {"unit", one_line(series.metric.unit)}, {"value", series.value()}};
    if (series.samples.size() > 1) {
      const auto [low, high] = std::minmax_element(series.samples.begin(), series.samples.end());
      entry["range"] = exact(*low) + " … " + exact(*high);
      entry["extra"] = "median of " + std::to_string(series.samples.size()) + " rounds";
    }
    entries.push_back(std::move(entry));
  }
  return dump(entries);
}

}  // namespace moebench
