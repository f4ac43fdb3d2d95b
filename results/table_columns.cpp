#include "results/table_columns.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "results/distinction.h"

namespace moebench {
namespace {

constexpr std::string_view kConversionSeconds = "conversion/seconds";
constexpr std::string_view kPhasePrefix = "conversion/seconds/";
constexpr std::string_view kLmEval = "lm_eval";  // the task whose metrics are lm-evaluation-harness's

Column column_of(const DescribedRun& run, const std::string& metric) {
  Column column{.metric = metric,
                .task = run.about.task,
                .task_options = run.about.task_options,
                .identity = run.about.task_identity};
  if (run.is_measurement()) return column;
  column.task.clear();
  column.task_options = nlohmann::json::object();
  return column;
}

class ColumnList {
 public:
  void add(const DescribedRun& run) {
    std::unordered_set<std::string>& seen = seen_[run.bench];
    for (const Metric& metric : run.record->metrics) {
      if (!seen.insert(metric.name + "\n" + metric.unit + "\n" + direction(metric)).second) continue;
      Column column = column_of(run, metric.name);
      column.unit = metric.unit;
      column.direction = metric.direction;
      columns_.push_back({run.bench, column});
      benches_.insert(run.bench);
    }
  }

  // For a task that has only failed so far, or has nothing to say of such models.
  void add_if_empty(const DescribedRun& run) {
    if (!run.is_measurement() || !benches_.insert(run.bench).second) return;
    columns_.push_back({run.bench, column_of(run, run.about.task)});
  }

  std::vector<BenchColumn> take() { return std::move(columns_); }

 private:
  static char direction(const Metric& metric) { return static_cast<char>('0' + static_cast<int>(metric.direction)); }

  std::vector<BenchColumn> columns_;
  std::unordered_map<std::string, std::unordered_set<std::string>> seen_;  // metrics of each bench
  std::set<std::string> benches_;
};

int position_of(const Column& column) {
  constexpr std::array<std::string_view, 3> kAccounting = {"active_ffn_share", "activated_parameters/all",
                                                           "total_parameters"};
  const auto found = std::find(kAccounting.begin(), kAccounting.end(), column.metric);
  if (found != kAccounting.end()) return static_cast<int>(found - kAccounting.begin());
  if (!column.task.empty()) return 10;
  if (column.metric == kConversionSeconds) return 20;
  if (column.metric.starts_with("retraining/")) return 23;
  return column.metric.starts_with(kPhasePrefix) ? 22 : 21;
}

// The names in a list separated by commas.
std::set<std::string> names_in(const nlohmann::json& list) {
  std::set<std::string> names;
  std::istringstream stream(list.is_string() ? list.get<std::string>() : "");
  for (std::string name; std::getline(stream, name, ',');) {
    names.insert(name.substr(std::min(name.find_first_not_of(' '), name.size())));
  }
  return names;
}

// A task of lm-evaluation-harness that is part of a group which has a value: "mmlu_anatomy/acc" beside "mmlu/acc"; or
// of whatever was asked for, if all of that has values. names: of all metrics.
bool is_of_a_group(const Column& column, const std::set<std::string>& names) {
  const std::string& name = column.metric;
  const size_t task_end = name.find('/');
  for (size_t end = name.find('_'); end < task_end; end = name.find('_', end + 1)) {
    if (names.contains(name.substr(0, end) + name.substr(task_end))) return true;
  }
  const std::set<std::string> asked = names_in(column.task_options.value("tasks", nlohmann::json()));
  const auto has_value = [&](const std::string& task) {
    const auto found = names.lower_bound(task + "/");
    return found != names.end() && found->starts_with(task + "/");
  };
  return !asked.contains(name.substr(0, task_end)) && !asked.empty() &&
         std::all_of(asked.begin(), asked.end(), has_value);
}

// Of a latency the ratio, from where on it pays, and the rate; percentiles and ceilings are finer.
bool is_headline_of_time(const std::string& name) {
  return name.ends_with("/time_over_dense") || name.ends_with("/break_even_tokens") ||
         name.ends_with("/tokens_per_second");
}

// Layers, phases, the loss on the way, all of expert load but its entropy, tasks of a group and the logarithm of a
// perplexity that are there themselves are too fine for a table.
bool is_headline(const Column& column, const std::set<std::string>& names) {
  const std::string& name = column.metric;
  if (name.find("/layer-") != std::string::npos || name.starts_with(kPhasePrefix)) return false;
  if (name.starts_with("retraining/") && name != "retraining/seconds") return false;
  if (name.starts_with("expert_load/") && name != "expert_load/entropy") return false;
  if (name.ends_with("/nll") && names.contains(name.substr(0, name.size() - 3) + "ppl")) return false;
  if (column.task == kLmEval && is_of_a_group(column, names)) return false;
  if (column.task == "kernel_latency" || column.task == "end_to_end") return is_headline_of_time(name);
  if (name == "active_ffn_share" || name == "activated_parameters/all" || name == "total_parameters") return true;
  return column.direction != Direction::kNeither || name == column.task;
}

// The options in which columns of the same metric differ.
std::string detail_of(const Column& column, const std::vector<BenchColumn>& columns) {
  std::set<std::string> differing;
  for (const auto& [bench, other] : columns) {
    if (other.metric != column.metric) continue;
    for (const auto& [name, value] : column.task_options.items()) {
      if (!other.task_options.contains(name) || other.task_options[name] != value) differing.insert(name);
    }
  }
  std::string detail;
  for (const std::string& name : differing) {
    detail += (detail.empty() ? "" : ", ") + name + "=" + column.task_options[name].dump();
  }
  return detail;
}

}  // namespace

void tell_apart(std::vector<BenchColumn>& columns) {
  std::vector<Named> named;
  for (auto& [bench, column] : columns) {
    column.detail = detail_of(column, columns);
    const nlohmann::json label = {column.metric, column.task, column.task_options};
    // A name of a metric may be any bytes.
    named.push_back({label.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), column.identity});
  }
  const std::vector<std::string> texts = distinctions(named);
  for (size_t index = 0; index < columns.size(); ++index) columns[index].column.distinction = texts[index];
}

std::vector<BenchColumn> make_columns(const std::vector<DescribedRun>& runs) {
  ColumnList list;
  for (const DescribedRun& run : runs) list.add(run);
  for (const DescribedRun& run : runs) list.add_if_empty(run);
  std::vector<BenchColumn> columns = list.take();
  std::stable_sort(columns.begin(), columns.end(), [](const BenchColumn& a, const BenchColumn& b) {
    return position_of(a.column) < position_of(b.column);
  });
  std::set<std::string> names;
  for (const auto& [bench, column] : columns) names.insert(column.metric);
  for (auto& [bench, column] : columns) column.is_headline = is_headline(column, names);
  tell_apart(columns);
  return columns;
}

const Metric* find_metric(const DescribedRun& run, const Column& column) {
  const auto found =
      std::lower_bound(run.by_name.begin(), run.by_name.end(), column.metric,
                       [](const Metric* metric, const std::string& name) { return metric->name < name; });
  if (found == run.by_name.end() || (*found)->name != column.metric) return nullptr;
  const Metric& metric = **found;
  return metric.unit == column.unit && metric.direction == column.direction ? &metric : nullptr;
}

std::vector<std::string> data_warnings(const std::vector<DescribedRun>& runs) {
  // By task with its options: shots of other tasks' examples are of other files, too.
  std::map<std::pair<std::string, nlohmann::json>, std::set<std::string>> contents;
  for (const DescribedRun& run : runs) {
    const std::optional<DatasetRecord>& dataset = run.record->dataset;
    if (run.is_measurement() && dataset)
      contents[{run.about.task + " on " + dataset->name, run.about.task_options}].insert(dataset->content_hash);
  }
  std::set<std::string> warnings;
  for (const auto& [what, hashes] : contents) {
    if (hashes.size() < 2) continue;
    warnings.insert(what.first + ": measured on " + std::to_string(hashes.size()) +
                    " versions of that text, so rows may not compare");
  }
  return {warnings.begin(), warnings.end()};
}

}  // namespace moebench
