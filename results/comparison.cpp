#include "results/comparison.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>

#include "results/cell_text.h"
#include "results/distinction.h"
#include "results/ranking.h"
#include "results/table_columns.h"

namespace moebench {
namespace {

const nlohmann::json::json_pointer kTexts("/calibration/texts");  // in an identity

using RunsBySeed = std::map<int64_t, const DescribedRun*>;  // the latest of each seed

// The runs of a row: measurements, and the conversions that they measure.
struct RowRuns {
  std::string key, conversion_key, retraining_key;
  RunDescription about;
  std::map<std::string, RunsBySeed> by_bench;
};

class RowList {
 public:
  RowRuns& row_of(const DescribedRun& run) {
    const auto [found, is_new] = position_.emplace(run.row_key, rows_.size());
    if (is_new) rows_.push_back({run.row_key, run.conversion_key, run.retraining_key, run.about, {}});
    return rows_[found->second];
  }
  std::vector<RowRuns> take() { return std::move(rows_); }

 private:
  std::vector<RowRuns> rows_;  // in order of first appearance
  std::map<std::string, size_t> position_;
};

std::vector<RowRuns> group(const std::vector<DescribedRun>& runs) {
  RowList list;
  std::set<std::string> measured;  // conversion and retraining keys
  for (const DescribedRun& run : runs) {
    if (!run.is_measurement()) continue;
    list.row_of(run).by_bench[run.bench][run.record->seed] = &run;
    measured.insert({run.conversion_key, run.retraining_key});
  }
  std::map<std::string, RunsBySeed> makers;  // by the key of what they made
  for (const DescribedRun& run : runs) {
    if (run.is_measurement()) continue;
    const std::string& key = run.is_conversion() ? run.conversion_key : run.retraining_key;
    makers[key][run.record->seed] = &run;
    // What was made and not measured, or could not be made, is a row all the same; but dense made to be retrained is
    // the dense parent.
    const bool is_dense_parent = run.about.is_dense() && !run.is_failed();
    if (!measured.contains(key) && !is_dense_parent) list.row_of(run);
  }
  std::vector<RowRuns> rows = list.take();
  for (RowRuns& row : rows) {
    if (const auto found = makers.find(row.conversion_key); found != makers.end()) {
      row.by_bench[kConversionBench] = found->second;
    }
    if (const auto found = makers.find(row.retraining_key); found != makers.end()) {
      row.by_bench[kRetrainingBench] = found->second;
    }
  }
  return rows;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<double> sample_deviation(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  const double mean = mean_of(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const double deviation = std::sqrt(squares / static_cast<double>(values.size() - 1));
  return std::isfinite(deviation) ? std::optional(deviation) : std::nullopt;
}

// Over seeds, whose errors come from the same items: their size, not that of their mean.
std::optional<double> root_mean_square(const std::vector<double>& values) {
  if (values.empty()) return std::nullopt;
  double squares = 0;
  for (const double value : values) squares += value * value;
  return std::sqrt(squares / static_cast<double>(values.size()));
}

void add_failure(CellSeeds& seeds, const RunRecord& run) {
  if (seeds.failed.empty()) seeds.reason = run.error.empty() ? "no reason recorded" : run.error;
  seeds.failed.push_back(run.seed);
}

// A seed whose conversion or retraining failed has no measurement; it failed there, too.
RunsBySeed with_failed_makers(const RowRuns& row, const std::string& bench) {
  RunsBySeed runs;
  if (const auto found = row.by_bench.find(bench); found != row.by_bench.end()) runs = found->second;
  for (const char* maker : {kConversionBench, kRetrainingBench}) {
    const auto made_by = row.by_bench.find(maker);
    if (made_by == row.by_bench.end()) continue;
    for (const auto& [seed, run] : made_by->second) {
      if (run->is_failed()) runs.emplace(seed, run);
    }
  }
  return runs;
}

// What the seeds of a cell have measured.
struct SeedValues {
  CellSeeds seeds;
  std::vector<double> values, errors;
  bool any_completed = false;
};

SeedValues collect(const RowRuns& row, const BenchColumn& bench_column, Cell& cell) {
  SeedValues found;
  for (const auto& [seed, run] : with_failed_makers(row, bench_column.bench)) {
    if (run->is_failed()) {
      add_failure(found.seeds, *run->record);
      continue;
    }
    found.any_completed = true;
    const Metric* metric = find_metric(*run, bench_column.column);
    if (metric == nullptr) continue;
    found.values.push_back(metric->value);
    if (metric->standard_error) found.errors.push_back(*metric->standard_error);
    cell.n = metric->n;
    found.seeds.measured.push_back(seed);
    cell.overlaps_calibration = cell.overlaps_calibration || run->about.overlaps_calibration;
    cell.overlaps_retraining = cell.overlaps_retraining || run->about.overlaps_retraining;
  }
  return found;
}

CellStatus status_of(const SeedValues& found) {
  if (!found.values.empty()) return CellStatus::kValue;
  if (found.any_completed) return CellStatus::kNotApplicable;
  return found.seeds.failed.empty() ? CellStatus::kNotRun : CellStatus::kFailed;
}

// neighbour: of the same row; null for the first.
Cell make_cell(const RowRuns& row, const BenchColumn& column, const Cell* neighbour) {
  Cell cell;
  const bool is_made = column.bench == kConversionBench   ? row.about.method != "dense"
                       : column.bench == kRetrainingBench ? row.about.retrained_tokens > 0
                                                          : true;
  const SeedValues found = is_made ? collect(row, column, cell) : SeedValues();
  const bool has_same_seeds = neighbour != nullptr && *neighbour->seeds == found.seeds;
  cell.seeds = has_same_seeds ? neighbour->seeds : std::make_shared<const CellSeeds>(found.seeds);
  cell.status = is_made ? status_of(found) : CellStatus::kNotApplicable;
  if (cell.status != CellStatus::kValue) return cell;
  cell.value = mean_of(found.values);
  cell.standard_deviation = sample_deviation(found.values);
  cell.standard_error = root_mean_square(found.errors);
  return cell;
}

RowKind kind_of(const RunDescription& about) {
  if (about.is_dense()) return RowKind::kDense;
  // Each token's largest activations are known only once all are computed.
  if (about.is_oracle() || about.method == "topk_neurons") return RowKind::kBound;
  return about.method == "static_pruning" || about.method == "dense" ? RowKind::kControl : RowKind::kMethod;
}

// Of all rows of a method: the options whose values differ between them.
std::map<std::string, std::set<std::string>> varying_options(const std::vector<RowRuns>& rows) {
  std::map<std::string, std::map<std::string, std::set<std::string>>> values;
  for (const RowRuns& row : rows) {
    for (const auto& [name, value] : row.about.options.items()) values[row.about.method][name].insert(value.dump());
  }
  std::map<std::string, std::set<std::string>> varying;
  for (const auto& [method, options] : values) {
    for (const auto& [name, seen] : options) {
      if (seen.size() > 1) varying[method].insert(name);
    }
  }
  return varying;
}

std::string option_label(const RunDescription& about, const std::set<std::string>& varying) {
  std::string label;
  for (const auto& [name, value] : about.options.items()) {
    if (!varying.contains(name) && !about.changed_options.contains(name)) continue;
    label += (label.empty() ? "" : ", ") + name + "=" + (value.is_string() ? value.get<std::string>() : value.dump());
  }
  return label;
}

std::vector<int64_t> seeds_of(const RowRuns& row) {
  std::set<int64_t> seeds;
  for (const auto& [bench, runs] : row.by_bench) {
    for (const auto& [seed, run] : runs) seeds.insert(seed);
  }
  return {seeds.begin(), seeds.end()};
}

using RecordDone = std::function<void(const RunRecord&)>;

// is_done: called for a measurement that is in its row, the only one it has.
std::vector<Row> make_rows(const std::vector<RowRuns>& grouped, const std::vector<BenchColumn>& columns,
                           const RecordDone& is_done) {
  std::map<std::string, std::set<std::string>> varying = varying_options(grouped);
  std::vector<Row> rows;
  for (const RowRuns& runs : grouped) {
    Row row{.kind = kind_of(runs.about),
            .key = runs.key,
            .about = runs.about,
            .options = option_label(runs.about, varying[runs.about.method]),
            .seeds = seeds_of(runs)};
    row.cells.reserve(columns.size());
    for (const BenchColumn& column : columns) {
      row.cells.push_back(make_cell(runs, column, row.cells.empty() ? nullptr : &row.cells.back()));
    }
    rows.push_back(std::move(row));
    for (const auto& [bench, by_seed] : runs.by_bench) {
      for (const auto& [seed, run] : by_seed) {
        if (run->is_measurement()) is_done(*run->record);
      }
    }
  }
  return rows;
}

// Texts are known by their hashes, and told apart by their names where these do.
void name_texts(const std::vector<Row>& rows, std::vector<Named>& named) {
  const auto names = [&](size_t row) {
    return rows[row].about.calibration ? join(rows[row].about.calibration->texts, ", ") : "";
  };
  const auto hashes = [&](size_t row) { return rows[row].about.identity.value(kTexts, nlohmann::json()); };
  for (const auto& [label, places] : places_by_label(named)) {
    for (const size_t one : places) {
      bool names_differ = false, only_hashes_differ = false;
      for (const size_t other : places) {
        names_differ |= names(other) != names(one);
        only_hashes_differ |= names(other) == names(one) && hashes(other) != hashes(one);
      }
      if (names_differ && !only_hashes_differ && !hashes(one).is_null()) named[one].identity[kTexts] = names(one);
    }
  }
}

// Rows that would read alike say what of their identities differs.
void tell_apart(std::vector<Row>& rows) {
  std::vector<Named> named;
  for (const Row& row : rows) {
    const nlohmann::json label = {
        row.about.model,         row_label(row), row.about.shape, row.about.dtype, row.about.retrained_tokens,
        row.about.retrain_recipe};
    named.push_back({label.dump(), row.about.identity});
  }
  name_texts(rows, named);
  const std::vector<std::string> texts = distinctions(named);
  for (size_t row = 0; row < rows.size(); ++row) rows[row].distinction = texts[row];
}

void sort_rows(std::vector<Row>& rows) {
  std::map<std::string, size_t> model_order;
  for (const Row& row : rows) model_order.emplace(row.about.model, model_order.size());
  const auto key = [&](const Row& row) {
    return std::tuple(model_order.at(row.about.model), row.kind != RowKind::kDense, -rounded_ratio(row),
                      row.about.retrained_tokens, row.kind, row.about.method, row.options, row.about.shape,
                      row.about.dtype);
  };
  std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) { return key(a) < key(b); });
}

std::vector<FailedRun> failures_of(const std::vector<DescribedRun>& runs, const std::vector<Row>& rows) {
  std::map<std::string, std::string> labels;
  for (const Row& row : rows) labels.emplace(row.key, row_title(row));
  std::vector<FailedRun> failures;
  for (const DescribedRun& run : runs) {
    if (!run.is_failed()) continue;
    const auto label = labels.find(run.row_key);
    failures.push_back({label != labels.end() ? label->second : run.about.method + " " + run.about.shape,
                        run.is_measurement() ? run.about.task : run.record->stage, run.record->seed,
                        run.record->error});
  }
  return failures;
}

template <class Value, class Read>
std::vector<Value> distinct(const std::vector<DescribedRun>& runs, const Read& read) {
  std::set<Value> values;
  for (const DescribedRun& run : runs) values.insert(read(run));
  return {values.begin(), values.end()};
}

Table compare(const std::vector<RunRecord>& records, const RecordDone& is_done) {
  const std::vector<DescribedRun> runs = describe_runs(records);
  const std::vector<BenchColumn> columns = make_columns(runs);
  Table table;
  for (const auto& [bench, column] : columns) table.columns.push_back(column);
  table.rows = make_rows(group(runs), columns, is_done);
  tell_apart(table.rows);
  sort_rows(table.rows);
  compare_with_dense(table);
  rank_cells(table);
  table.failures = failures_of(runs, table.rows);
  table.seeds = distinct<int64_t>(runs, [](const DescribedRun& run) { return run.record->seed; });
  table.dtypes = distinct<std::string>(runs, [](const DescribedRun& run) { return run.about.dtype; });
  table.machine_classes =
      distinct<std::string>(runs, [](const DescribedRun& run) { return run.record->machine_class; });
  table.builds = distinct<std::string>(runs, [](const DescribedRun& run) { return run.record->build; });
  table.warnings = data_warnings(runs);
  return table;
}

}  // namespace

Table compare_runs(const std::vector<RunRecord>& records) {
  return compare(records, [](const RunRecord&) {});
}

Table compare_and_strip_runs(std::vector<RunRecord>& records) {
  return compare(records, [&](const RunRecord& record) {
    std::vector<Metric>().swap(records[static_cast<size_t>(&record - records.data())].metrics);
  });
}

}  // namespace moebench
