#include "results/markdown_legend.h"

#include <algorithm>
#include <set>

#include "results/cell_text.h"
#include "results/distinction.h"
#include "results/markdown_table.h"
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

std::string marks(const Table& table) {
  std::string text = "Mean ± sample standard deviation over seeds, where a row has at least two.";
  if (any_cell(table, [](const Cell& cell) { return cell.rank != Rank::kNone; })) {
    text +=
        "\n**Best** and <ins>second best</ins> mean at the same active FFN size and retraining; the dense parent "
        "and bounds do not compete.";
  }
  if (any_row(table, RowKind::kBound)) {
    text += "\nA bound computes every expert to choose among them: what a perfect router would give, not a method.";
  }
  if (any_cell(table, [](const Cell& cell) { return cell.overlaps_calibration; })) {
    text += "\n† Measured on text that the method was calibrated on.";
  }
  if (any_cell(table, [](const Cell& cell) { return cell.overlaps_retraining; })) {
    text += "\n‡ Measured on text that the model was retrained on.";
  }
  if (has_conversions(table)) {
    text +=
        "\nConversion is wall time, with all of a pass over the text that several conversions shared; peak memory is "
        "the whole process's during that pass.";
  }
  return text + "\n";
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
  std::string text = escape_markdown(table.columns[index].metric);
  if (!counts.empty() && *counts.rbegin() > 1) {
    text += " over n = " + std::to_string(*counts.begin());
    if (counts.size() > 1) text += " to " + std::to_string(*counts.rbegin());
  }
  if (!errors.empty()) text += ", standard error " + range(*errors.begin(), *errors.rbegin());
  return text;
}

// A line for each task and setting of its options: "- perplexity with max_windows 5, …: …"
std::string measurements(const Table& table) {
  std::vector<std::string> tasks, columns;
  for (size_t index = 0; index < table.columns.size(); ++index) {
    const Column& column = table.columns[index];
    if (!column.is_headline || column.task.empty()) continue;
    const std::string options = options_of(column);
    const std::string task =
        escape_markdown(column.task + bracketed(column.distinction) + (options.empty() ? "" : " with " + options));
    const auto known = std::find(tasks.begin(), tasks.end(), task);
    if (known == tasks.end()) {
      tasks.push_back(task);
      columns.push_back(describe_column(table, index));
    } else {
      columns[static_cast<size_t>(known - tasks.begin())] += "; " + describe_column(table, index);
    }
  }
  std::string text = "\n";
  for (size_t task = 0; task < tasks.size(); ++task) text += "- " + tasks[task] + ": " + columns[task] + "\n";
  return text;
}

std::string hidden_columns(const Table& table) {
  const auto num_hidden = std::count_if(table.columns.begin(), table.columns.end(),
                                        [](const Column& column) { return !column.is_headline; });
  if (num_hidden == 0) return "";
  return "- " + std::to_string(num_hidden) +
         " finer metrics (layers, phases, tasks of a group, other definitions) are in the csv and json formats\n";
}

std::string provenance(const Table& table) {
  std::string text = "- " + escape_markdown(join(table.dtypes, ", ")) + "; seeds " + join(table.seeds, ", ") + "\n";
  text += "- machine: " + escape_markdown(join(table.machine_classes, "; "));
  if (table.machine_classes.size() > 1) text += " (seconds of different machines do not compare)";
  text += "\n- moebench " + escape_markdown(join(table.builds, ", ")) + "\n";
  return text;
}

std::string failures(const Table& table) {
  if (table.failures.empty()) return "";
  std::string text = "\nFailed runs:\n\n";
  for (const FailedRun& failure : table.failures) {
    text += "- " +
            escape_markdown(failure.subject + ", " + failure.stage + ", seed " + std::to_string(failure.seed) + ": " +
                            failure.reason) +
            "\n";
  }
  return text;
}

}  // namespace

std::string markdown_legend(const Table& table, const ReportOptions& options) {
  std::string text = marks(table) + measurements(table) + hidden_columns(table) + provenance(table);
  for (const std::string& warning : table.warnings) text += "- **" + escape_markdown(warning) + "**\n";
  text += failures(table);
  // An indented block shows any command as it is.
  if (!options.command.empty()) text += "\nMade by\n\n    " + one_line(options.command) + "\n";
  return text;
}

}  // namespace moebench
