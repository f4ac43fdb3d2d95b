#include "results/table_legend.h"

#include <algorithm>
#include <set>

#include "results/cell_text.h"
#include "results/distinction.h"
#include "results/number_format.h"

namespace moebench {
namespace {

bool any_cell(const Table& table, auto&& condition) {
  return std::any_of(table.rows.begin(), table.rows.end(),
                     [&](const Row& row) { return std::any_of(row.cells.begin(), row.cells.end(), condition); });
}

bool any_row(const Table& table, RowKind kind) {
  return std::any_of(table.rows.begin(), table.rows.end(), [&](const Row& row) { return row.kind == kind; });
}

bool has_conversions(const Table& table) {
  return std::any_of(table.columns.begin(), table.columns.end(),
                     [](const Column& column) { return column.task.empty(); });
}

std::vector<std::string> marks(const Table& table) {
  std::vector<std::string> sentences;
  if (any_row(table, RowKind::kBound)) {
    sentences.push_back(
        "A bound computes every expert to choose among them: what a perfect router would give, not a method.");
  }
  if (any_cell(table, [](const Cell& cell) { return cell.overlaps_calibration; })) {
    sentences.push_back(kCalibrationMark + std::string(" Measured on text that the method was calibrated on."));
  }
  if (any_cell(table, [](const Cell& cell) { return cell.overlaps_retraining; })) {
    sentences.push_back(kRetrainingMark + std::string(" Measured on text that the model was retrained on."));
  }
  if (has_conversions(table)) {
    sentences.push_back(
        "Conversion is wall time, with all of a pass over the text that several conversions shared; peak memory is "
        "the whole process's during that pass.");
  }
  return sentences;
}

std::string range(double lowest, double highest) {
  const std::string from = format_number(lowest), to = format_number(highest);
  return from == to ? from : from + " to " + to;
}

std::string options_of(const Column& column) {
  std::vector<std::string> options;
  for (const auto& [name, value] : column.task_options.items()) {
    if (value == "") continue;
    options.push_back(name + " " + (value.is_string() ? value.get<std::string>() : value.dump()));
  }
  return join(options, ", ");
}

// "text/gptq-2048/ppl over n = 5, standard error 1.2 to 3.4"
std::string describe_column(const Table& table, size_t index) {
  std::set<int64_t> counts;
  std::set<double> errors;
  for (const Row& row : table.rows) {
    const Cell& cell = row.cells[index];
    if (cell.status != CellStatus::kValue) continue;
    counts.insert(cell.n);
    if (cell.standard_error) errors.insert(*cell.standard_error);
  }
  std::string text = table.columns[index].metric;
  if (!counts.empty() && *counts.rbegin() > 1) {
    text += " over n = " + std::to_string(*counts.begin());
    if (counts.size() > 1) text += " to " + std::to_string(*counts.rbegin());
  }
  if (!errors.empty()) text += ", standard error " + range(*errors.begin(), *errors.rbegin());
  return text;
}

// A fact for each task and setting of its options: "perplexity with max_windows 5, …: …"
std::vector<std::string> measurements(const Table& table) {
  std::vector<std::string> tasks, columns;
  for (size_t index = 0; index < table.columns.size(); ++index) {
    const Column& column = table.columns[index];
    if (!column.is_headline || column.task.empty()) continue;
    const std::string options = options_of(column);
    const std::string task = column.task + bracketed(column.distinction) + (options.empty() ? "" : " with " + options);
    const auto known = std::find(tasks.begin(), tasks.end(), task);
    if (known == tasks.end()) {
      tasks.push_back(task);
      columns.push_back(describe_column(table, index));
    } else {
      columns[static_cast<size_t>(known - tasks.begin())] += "; " + describe_column(table, index);
    }
  }
  for (size_t task = 0; task < tasks.size(); ++task) tasks[task] += ": " + columns[task];
  return tasks;
}

void add_hidden_columns(const Table& table, std::vector<std::string>& facts) {
  const auto num_hidden = std::count_if(table.columns.begin(), table.columns.end(),
                                        [](const Column& column) { return !column.is_headline; });
  if (num_hidden == 0) return;
  facts.push_back(std::to_string(num_hidden) +
                  " finer metrics (layers, phases, tasks of a group, other definitions) are in the csv and json "
                  "formats");
}

void add_provenance(const Table& table, std::vector<std::string>& facts) {
  facts.push_back(join(table.dtypes, ", ") + "; seeds " + join(table.seeds, ", "));
  facts.push_back("machine: " + join(table.machine_classes, "; ") +
                  (table.machine_classes.size() > 1 ? " (seconds of different machines do not compare)" : ""));
  facts.push_back("moebench " + join(table.builds, ", "));
}

}  // namespace

TableLegend table_legend(const Table& table) {
  TableLegend legend{
      .has_ranks = any_cell(table, [](const Cell& cell) { return cell.rank != Rank::kNone; }),
      .before = {"Mean ± sample standard deviation over seeds, where a row has at least two."},
      .marks = marks(table),
      .facts = measurements(table),
      .warnings = table.warnings,
  };
  add_hidden_columns(table, legend.facts);
  add_provenance(table, legend.facts);
  for (const FailedRun& failure : table.failures) {
    legend.failures.push_back(failure.subject + ", " + failure.stage + ", seed " + std::to_string(failure.seed) + ": " +
                              failure.reason);
  }
  return legend;
}

}  // namespace moebench
