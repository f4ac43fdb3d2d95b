#include <array>
#include <charconv>
#include <cmath>

#include "results/cell_text.h"
#include "results/render.h"

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

// The shortest text that reads back as the same number.
std::string exact(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

std::string exact(std::optional<double> value) { return value ? exact(*value) : ""; }

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string result = "\"";
  for (const char byte : field) result += byte == '"' ? std::string("\"\"") : std::string(1, byte);
  return result + '"';
}

void write_line(const std::vector<std::string>& fields, std::string& csv) {
  for (size_t field = 0; field < fields.size(); ++field)
    csv += (field == 0 ? "" : ",") + quoted(one_line(fields[field]));
  csv += "\r\n";
}

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
          std::to_string(cell.seeds.size()),
          join(cell.seeds, ";"),
          join(cell.failed_seeds, ";"),
          exact(cell.ratio_to_dense),
          rank_name(cell.rank),
          cell.reason};
}

void append(std::vector<std::string>& fields, const std::vector<std::string>& more) {
  fields.insert(fields.end(), more.begin(), more.end());
}

}  // namespace

std::string render_csv(const Table& table) {
  std::string csv;
  write_line(kHeader, csv);
  for (const Row& row : table.rows) {
    for (size_t column = 0; column < table.columns.size(); ++column) {
      std::vector<std::string> fields = fields_of(row);
      append(fields,
             {row.cells[column].overlaps_calibration ? "true" : "false", std::to_string(row.about.retrained_tokens),
              row.about.retrain_recipe, row.cells[column].overlaps_retraining ? "true" : "false"});
      append(fields, fields_of(table.columns[column]));
      append(fields, fields_of(row.cells[column]));
      write_line(fields, csv);
    }
  }
  return csv;
}

}  // namespace moebench
