#include "results/paired_table.h"

#include <algorithm>
#include <map>
#include <set>
#include <stdexcept>

#include "results/cell_text.h"
#include "results/comparison.h"
#include "results/distinction.h"
#include "results/row_selection.h"
#include "results/table_columns.h"

namespace moebench {
namespace {

constexpr uint64_t kBootstrapSeed = 1234;

using RunsByBench = std::map<std::string, const DescribedRun*>;

// The measurements of a row.
class MeasuredRow {
 public:
  MeasuredRow(const SelectedRow& selected, const std::vector<DescribedRun>& runs) : selected_(selected), runs_(runs) {
    for (const DescribedRun& run : runs) {
      if (is_mine(run)) seeds_.insert(run.record->seed);
    }
  }

  const Row& row() const { return *selected_.row; }
  bool has_seeds() const { return !row().about.is_dense(); }
  const std::set<int64_t>& seeds() const { return seeds_; }
  std::optional<int64_t> named_seed() const { return has_seeds() ? selected_.seed : std::nullopt; }

  // seed: of a row that has seeds. Where several measured the same, the latest counts.
  RunsByBench runs_of(std::optional<int64_t> seed) const {
    RunsByBench found;
    for (const DescribedRun& run : runs_) {
      if (is_mine(run) && (!has_seeds() || run.record->seed == seed)) found[run.bench] = &run;
    }
    return found;
  }

  PairedSide side(std::optional<int64_t> seed) const {
    return {.title = row_title(row()),
            .model = row().about.model,
            .dtype = row().about.dtype,
            .seeds = {seeds_.begin(), seeds_.end()},
            .seed = has_seeds() ? seed : std::nullopt};
  }

 private:
  bool is_mine(const DescribedRun& run) const {
    return run.row_key == row().key && run.is_measurement() && !run.is_failed();
  }

  const SelectedRow& selected_;
  const std::vector<DescribedRun>& runs_;
  std::set<int64_t> seeds_;
};

std::string seeds_text(const MeasuredRow& row) {
  return row_title(row.row()) + " has " + join(std::vector<int64_t>(row.seeds().begin(), row.seeds().end()), ", ");
}

// None if neither side has seeds.
std::optional<int64_t> common_seed(const MeasuredRow& base, const MeasuredRow& candidate,
                                   std::optional<int64_t> asked) {
  std::set<int64_t> wanted;
  for (const auto& seed : {asked, base.named_seed(), candidate.named_seed()}) {
    if (seed) wanted.insert(*seed);
  }
  if (wanted.size() > 1) {
    throw std::invalid_argument("seeds " + join(std::vector<int64_t>(wanted.begin(), wanted.end()), " and ") +
                                " are asked for; compare runs of one seed");
  }
  std::set<int64_t> common;
  bool any = false;
  std::string what_there_is;
  for (const MeasuredRow* row : {&base, &candidate}) {
    if (!row->has_seeds()) continue;
    std::set<int64_t> both = row->seeds();
    if (any) std::erase_if(both, [&](int64_t seed) { return !common.contains(seed); });
    common = both;
    what_there_is += (any ? "; " : "") + seeds_text(*row);
    any = true;
  }
  if (!any) return std::nullopt;
  if (wanted.empty() && !common.empty()) return *common.begin();
  if (wanted.empty()) throw std::invalid_argument("the two have no seed in common: " + what_there_is);
  if (common.contains(*wanted.begin())) return *wanted.begin();
  throw std::invalid_argument("seed " + std::to_string(*wanted.begin()) + " is not there: " + what_there_is);
}

PairedRow make_row(const PairedItems& items) {
  PairedRow row{.score = items.score, .base = items.base, .candidate = items.candidate, .drift = items.drift};
  row.difference = paired_difference(items.scores);
  row.bootstrap = bootstrap_interval(items.scores, kBootstrapSeed);
  row.p_value = row.difference.p_value;
  if (items.score == ItemScore::kRight) {
    row.mcnemar = mcnemar_test(items.scores);
    if (row.difference.num_clusters == row.difference.num_items) row.p_value = row.mcnemar->exact_p;
  }
  const double error = row.difference.standard_error;
  if (error > 0) row.detectable_effect = minimum_detectable_effect(error);
  return row;
}

class Pairing {
 public:
  Pairing(const ResultStore& store, PairedTable& table) : store_(store), table_(table) {}

  void add_benches(const std::vector<DescribedRun>& runs, const RunsByBench& base, const RunsByBench& candidate) {
    std::set<std::string> seen;
    for (const DescribedRun& run : runs) {
      if (!seen.insert(run.bench).second) continue;
      const auto of_base = base.find(run.bench), of_candidate = candidate.find(run.bench);
      const bool has_base = of_base != base.end(), has_candidate = of_candidate != candidate.end();
      if (has_base && has_candidate) add_bench(*of_base->second, *of_candidate->second);
      if (has_base != has_candidate) note_alone(has_base ? *of_base->second : *of_candidate->second, has_base);
    }
  }

  // Once all rows are there.
  void finish() {
    tell_apart(columns_);
    std::vector<double> p_values;
    for (const PairedRow& row : table_.rows) p_values.push_back(row.p_value);
    const std::vector<double> adjusted =
        table_.adjustment == Adjustment::kHolm ? holm_adjusted(p_values) : benjamini_hochberg_adjusted(p_values);
    for (size_t row = 0; row < table_.rows.size(); ++row) {
      table_.rows[row].column = columns_[row].column;
      table_.rows[row].adjusted_p = adjusted[row];
    }
  }

 private:
  void add_bench(const DescribedRun& base, const DescribedRun& candidate) {
    for (const auto& [metric, items] :
         pair_items(store_.items(base.record->uuid), store_.items(candidate.record->uuid))) {
      if (items.only_base + items.only_candidate > 0) {
        table_.notes.push_back(metric + ": left out " + std::to_string(items.only_base) +
                               " items that only base has, and " + std::to_string(items.only_candidate) +
                               " that only new has");
      }
      if (!items.obstacle.empty()) {
        table_.notes.push_back(metric + " is not compared: " + items.obstacle);
        continue;
      }
      columns_.push_back({base.bench,
                          {.metric = metric,
                           .task = base.about.task,
                           .task_options = base.about.task_options,
                           .identity = base.about.task_identity}});
      table_.rows.push_back(make_row(items));
    }
  }

  void note_alone(const DescribedRun& run, bool is_base) {
    std::set<std::string> metrics;
    for (const Item& item : store_.items(run.record->uuid)) metrics.insert(item.task);
    for (const std::string& metric : metrics) {
      table_.notes.push_back(metric + " (" + run.about.task + " " + run.about.task_options.dump() +
                             ") is not compared: only " + (is_base ? "base" : "new") + " was measured so");
    }
  }

  const ResultStore& store_;
  PairedTable& table_;
  std::vector<BenchColumn> columns_;
};

}  // namespace

Adjustment parse_adjustment(const std::string& name) {
  if (name == "holm") return Adjustment::kHolm;
  if (name == "bh") return Adjustment::kBenjaminiHochberg;
  throw std::invalid_argument("compare: unknown adjustment '" + name + "'; known: bh holm");
}

const char* adjustment_name(Adjustment adjustment) { return adjustment == Adjustment::kHolm ? "holm" : "bh"; }

PairedTable compare_pairs(const ResultStore& store, const PairedRequest& request) {
  const std::vector<RunRecord> records = store.runs();
  const std::vector<DescribedRun> runs = describe_runs(records);
  const Table all = compare_runs(records);
  const SelectedRow base_row = select_row(request.base, all, runs);
  const SelectedRow candidate_row = select_row(request.candidate, all, runs);
  if (base_row.row == candidate_row.row) {
    throw std::invalid_argument("'" + request.base + "' and '" + request.candidate + "' are the same row, " +
                                row_title(*base_row.row) + "; name two");
  }
  const MeasuredRow base(base_row, runs), candidate(candidate_row, runs);
  const std::optional<int64_t> seed = common_seed(base, candidate, request.seed);
  PairedTable table{.base = base.side(seed), .candidate = candidate.side(seed), .adjustment = request.adjustment};
  Pairing pairing(store, table);
  pairing.add_benches(runs, base.runs_of(seed), candidate.runs_of(seed));
  if (table.rows.empty()) {
    throw std::invalid_argument(table.base.title + " and " + table.candidate.title +
                                " have no items in common to compare" +
                                (table.notes.empty() ? "" : ": " + join(table.notes, "; ")));
  }
  pairing.finish();
  return table;
}

}  // namespace moebench
