#include "results/cell_text.h"
#include "results/csv_line.h"
#include "results/render.h"
#include "results/shown_table.h"

namespace moebench {
namespace {

const std::vector<std::string> kHeader = {"model",
                                          "method",
                                          "options",
                                          "distinction",
                                          "shape",
                                          "active_ratio",
                                          "router",
                                          "kind",
                                          "dtype",
                                          "calibration_text",
                                          "calibration_tokens",
                                          "overlaps_calibration",
                                          "retrained_tokens",
                                          "retrain_recipe",
                                          "overlaps_retraining",
                                          "task",
                                          "task_options",
                                          "task_distinction",
                                          "metric",
                                          "unit",
                                          "better",
                                          "status",
                                          "value",
                                          "standard_deviation",
                                          "standard_error",
                                          "n",
                                          "num_seeds",
                                          "seeds",
                                          "failed_seeds",
                                          "ratio_to_dense",
                                          "rank",
                                          "reason"};

constexpr int kNumRowFields = 11;  // of the header, that fields_of(row) gives

std::vector<std::string> fields_of(const Row& row) {
  const RunDescription& about = row.about;
  const CalibrationDescription calibration = about.calibration.value_or(CalibrationDescription{});
  return {about.model,
          about.method,
          row.options,
          row.distinction,
          about.shape,
          exact(about.active_ratio),
          about.router,
          kind_name(row.kind),
          about.dtype,
          join(calibration.texts, ";"),
          about.calibration ? std::to_string(calibration.tokens) : ""};
}

std::vector<std::string> fields_of(const Column& column) {
  return {column.task,        column.task_options.empty() ? "" : column.task_options.dump(),
          column.distinction, column.metric,
          column.unit,        direction_name(column.direction)};
}

std::vector<std::string> fields_of(const Cell& cell) {
  const bool has_value = cell.status == CellStatus::kValue;
  return {status_name(cell.status),
          has_value ? exact(cell.value) : "",
          exact(cell.standard_deviation),
          exact(cell.standard_error),
          has_value ? std::to_string(cell.n) : "",
          std::to_string(cell.seeds->measured.size()),
          join(cell.seeds->measured, ";"),
          join(cell.seeds->failed, ";"),
          exact(cell.ratio_to_dense),
          rank_name(cell.rank),
          cell.seeds->reason};
}

void append(std::vector<std::string>& fields, const std::vector<std::string>& more) {
  fields.insert(fields.end(), more.begin(), more.end());
}

std::vector<std::string> wide_header(const Table& table) {
  std::vector<std::string> header(kHeader.begin(), kHeader.begin() + kNumRowFields);
  append(header, {"retrained_tokens", "retrain_recipe", "num_seeds"});
  for (const Column& column : table.columns) {
    const std::string title = shown_title(column);
    append(header, {title, title + " (standard deviation)"});
  }
  return header;
}

// A cell without a value says why, so that nobody takes it for a gap: "failed", "not_run"; "" where there is no such
// thing.
std::string wide_value(const Cell& cell) {
  if (cell.status == CellStatus::kValue) return exact(cell.value);
  return cell.status == CellStatus::kNotApplicable ? "" : status_name(cell.status);
}

}  // namespace

std::string render_wide_csv(const Table& table) {
  std::string csv = csv_line(wide_header(table));
  for (const Row& row : table.rows) {
    std::vector<std::string> fields = fields_of(row);
    append(fields,
           {std::to_string(row.about.retrained_tokens), row.about.retrain_recipe, std::to_string(row.seeds.size())});
    for (const Cell& cell : row.cells) append(fields, {wide_value(cell), exact(cell.standard_deviation)});
    csv += csv_line(fields);
  }
  return csv;
}

void render_csv(const Table& table, const TextSink& write) {
  write(csv_line(kHeader));
  for (const Row& row : table.rows) {
    std::string lines;
    for (size_t column = 0; column < table.columns.size(); ++column) {
      std::vector<std::string> fields = fields_of(row);
      append(fields,
             {row.cells[column].overlaps_calibration ? "true" : "false", std::to_string(row.about.retrained_tokens),
              row.about.retrain_recipe, row.cells[column].overlaps_retraining ? "true" : "false"});
      append(fields, fields_of(table.columns[column]));
      append(fields, fields_of(row.cells[column]));
      lines += csv_line(fields);
    }
    write(lines);
  }
}

}  // namespace moebench
