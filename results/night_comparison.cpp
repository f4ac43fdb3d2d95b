#include "results/night_comparison.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "results/cell_text.h"
#include "results/history_changes.h"
#include "results/number_format.h"

namespace moebench {
namespace {

// A percentile's neighbours and the ends of an interval say nothing that the median does not, but noisier.
bool is_judged(const NightSeries& series) {
  if (!series.is_timed) return true;
  if (series.metric.direction == Direction::kNeither) return false;
  constexpr std::array<std::string_view, 4> kAsides = {"/p10", "/p90", "/p99", "/break_even_tokens"};
  return std::none_of(kAsides.begin(), kAsides.end(),
                      [&](std::string_view aside) { return series.metric.name.ends_with(aside); });
}

bool are_positive(const std::vector<double>& samples) {
  return std::all_of(samples.begin(), samples.end(), [](double value) { return std::isfinite(value) && value > 0; });
}

// The items' name if they are what this metric is computed of: "wiki/gptq-2048" of "wiki/gptq-2048/ppl".
bool is_metric_of(const std::string& metric, const std::string& items) {
  return metric == items || metric.starts_with(items + "/");
}

// Of the nights before that compare with tonight's, oldest first.
struct SeriesHistory {
  std::vector<double> values;
  std::vector<const Night*> nights;
};

SeriesHistory history_of(const NightSeries& series, const std::vector<Night>& before) {
  SeriesHistory history;
  for (const Night& night : before) {
    const NightSeries* earlier = night.find(series.key);
    if (earlier == nullptr || !fingerprint_differences(*earlier->runs.front(), *series.runs.front()).empty()) continue;
    history.values.push_back(earlier->value());
    history.nights.push_back(&night);
  }
  return history;
}

// The last change of the history with tonight, if it is for the worse: when it began and how large it is.
std::string since_when(const NightSeries& series, const SeriesHistory& history) {
  std::vector<double> values = history.values;
  values.push_back(series.value());
  const std::vector<HistoryChange> changes = find_changes(values);
  if (changes.empty()) return "";
  const HistoryChange& last = changes.back();
  const bool is_better =
      series.metric.direction == (last.size < 0 ? Direction::kLowerIsBetter : Direction::kHigherIsBetter);
  if (is_better) return "";
  const std::string size = (last.size > 0 ? "+" : "") + format_percent(last.size);
  const std::string what = last.kind == ChangeKind::kStep ? "a step of " + size : "drifts by " + size + " a night";
  const std::string first = last.first < history.nights.size() ? night_date(*history.nights[last.first]) : "tonight";
  return what + " since " + first + "; last good: " + night_date(*history.nights[last.first - 1]);
}

// The last month says what is usual; a night without a number says nothing.
std::vector<double> usual_values(const SeriesHistory& history) {
  constexpr size_t kUsualNights = 30;
  const size_t begin = history.values.size() - std::min(history.values.size(), kUsualNights);
  std::vector<double> values(history.values.begin() + static_cast<std::ptrdiff_t>(begin), history.values.end());
  std::erase_if(values, [](double value) { return !std::isfinite(value) || value <= 0; });
  return values;
}

class Comparison {
 public:
  Comparison(const Night& tonight, const Baseline& baseline, const NightContext& context)
      : tonight_(tonight), baseline_(baseline), context_(context) {}

  std::vector<NightRow> rows() {
    for (const NightSeries& series : tonight_.series) {
      if (is_judged(series)) add(series);
    }
    for (const auto& [key, series] : baseline_.series) {
      if (is_judged(series) && tonight_.find(key) == nullptr) add_missing(series);
    }
    judge_tested();
    return std::move(rows_);
  }

 private:
  NightRow row_of(const NightSeries& series) const {
    return {.subject = series.subject,
            .metric = series.metric.name,
            .unit = series.metric.unit,
            .direction = series.metric.direction,
            .rule = series.is_timed ? MetricRule::kTiming : MetricRule::kCounter};
  }

  void add_missing(const NightSeries& base) {
    NightRow row = row_of(base);
    row.status = RowStatus::kMissing;
    row.base = base.value();
    row.tonight = std::nan("");
    row.base_run = base.runs.front();
    row.note = "not measured tonight";
    rows_.push_back(std::move(row));
  }

  void add(const NightSeries& series) {
    NightRow row = row_of(series);
    row.series = &series;
    row.tonight = series.value();
    row.n = static_cast<int64_t>(series.samples.size());
    const auto found = baseline_.series.find(series.key);
    if (found == baseline_.series.end()) {
      row.status = RowStatus::kNew;
      row.base = std::nan("");
      rows_.push_back(std::move(row));
      return;
    }
    const NightSeries& base = found->second;
    row.base_run = base.runs.front();
    row.base = base.value();
    const std::vector<std::string> differences = fingerprint_differences(*row.base_run, *series.runs.front());
    if (!differences.empty()) {
      row.status = RowStatus::kNotComparable;
      row.note = join(differences, "; ");
      rows_.push_back(std::move(row));
      return;
    }
    series.is_timed ? add_timing(std::move(row), base) : add_untimed(std::move(row));
  }

  void add_timing(NightRow row, const NightSeries& base) {
    const NightSeries& series = *row.series;
    const SeriesHistory history = history_of(series, context_.before);
    row.note = since_when(series, history);
    if (are_positive(base.samples) && are_positive(series.samples)) {
      const bool is_ratio = series.metric.unit.empty();
      row.evidence = timing_evidence(base.samples, series.samples, series.metric.direction, is_ratio,
                                     usual_values(history), context_.rule);
    } else {
      row.verdict = judge_counter(row.base, row.tonight, row.direction, context_.rule);
      row.note = "not every round gave a number above 0";
    }
    rows_.push_back(std::move(row));
  }

  void add_untimed(NightRow row) {
    row.note = since_when(*row.series, history_of(*row.series, context_.before));
    const RunRecord &base = *row.base_run, &run = *row.series->runs.front();
    for (const auto& [items, paired] : paired_items(base, run)) {
      if (!is_metric_of(row.metric, items) || !paired.obstacle.empty()) continue;
      if (!seen_items_.insert(run.uuid + "\n" + items).second) return;  // its nll has had the row, this is its ppl
      row.rule = MetricRule::kQuality;
      row.metric = items;
      row.unit = paired.score == ItemScore::kNll ? "nat/token" : "";
      row.direction = paired.score == ItemScore::kNll ? Direction::kLowerIsBetter : Direction::kHigherIsBetter;
      row.base = paired.base;
      row.tonight = paired.candidate;
      row.n = static_cast<int64_t>(paired.scores.base.size());
      row.evidence = quality_evidence(paired, context_.rule);
      rows_.push_back(std::move(row));
      return;
    }
    row.verdict = judge_counter(row.base, row.tonight, row.direction, context_.rule);
    rows_.push_back(std::move(row));
  }

  const std::map<std::string, PairedItems>& paired_items(const RunRecord& base, const RunRecord& run) {
    const auto [found, is_new] = paired_.try_emplace(base.uuid + "\n" + run.uuid);
    if (is_new) found->second = pair_items(context_.items(base), context_.items(run));
    return found->second;
  }

  // The more tests, the likelier one of them errs.
  void judge_tested() {
    std::vector<NightRow*> tested;
    std::vector<double> p_values;
    for (NightRow& row : rows_) {
      if (!row.evidence) continue;
      tested.push_back(&row);
      p_values.push_back(row.evidence->p_value);
    }
    const std::vector<double> adjusted = benjamini_hochberg_adjusted(p_values);
    for (size_t test = 0; test < tested.size(); ++test) {
      tested[test]->adjusted_p = adjusted[test];
      tested[test]->verdict = judge(*tested[test]->evidence, adjusted[test], context_.rule);
    }
  }

  const Night& tonight_;
  const Baseline& baseline_;
  const NightContext& context_;
  std::vector<NightRow> rows_;
  std::set<std::string> seen_items_;
  std::map<std::string, std::map<std::string, PairedItems>> paired_;
};

}  // namespace

const char* rule_name(MetricRule rule) {
  switch (rule) {
    case MetricRule::kQuality:
      return "quality";
    case MetricRule::kTiming:
      return "timing";
    case MetricRule::kCounter:
      break;
  }
  return "counter";
}

NightTable compare_night(const Night& tonight, const Baseline& baseline, const NightContext& context) {
  NightTable table{.title = one_line(tonight.sweep) + ", " + night_date(tonight),
                   .baseline = baseline.title,
                   .rows = Comparison(tonight, baseline, context).rows()};
  for (const RunRecord* run : tonight.failures) {
    const nlohmann::json task = run->config.value("task", nlohmann::json());
    const std::string stage = task.is_string() ? task.get<std::string>() : run->stage;
    table.failures.push_back(subject_of(*run) + " " + one_line(stage + ": " + run->error));
  }
  return table;
}

int night_exit_code(const NightTable& table, bool strict) {
  const auto any = [&](const auto& condition) { return std::any_of(table.rows.begin(), table.rows.end(), condition); };
  if (any([](const NightRow& row) { return row.is(Verdict::kRegressed); })) return 1;
  if (!table.failures.empty()) return 4;
  const bool has_baseline = any([](const NightRow& row) { return row.base_run != nullptr; });
  if (!has_baseline || any([](const NightRow& row) {
        return row.status == RowStatus::kNotComparable || row.status == RowStatus::kMissing;
      })) {
    return 5;
  }
  return strict && any([](const NightRow& row) { return row.is(Verdict::kInconclusive); }) ? 6 : 0;
}

}  // namespace moebench
