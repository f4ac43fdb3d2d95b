#include "results/cell_text.h"
#include "results/json_number.h"
#include "results/published_numbers.h"
#include "results/render.h"

namespace moebench {
namespace {

using Json = nlohmann::ordered_json;  // keys as written here

Json to_json(const Column& column) {
  return {{"metric", column.metric},
          {"unit", column.unit},
          {"better", direction_name(column.direction)},
          {"task", column.task},
          {"task_options", Json(column.task_options)},
          {"distinction", column.distinction},
          {"headline", column.is_headline}};
}

Json to_json(const Cell& cell, const Column& column) {
  const bool has_value = cell.status == CellStatus::kValue;
  return {{"metric", column.metric},
          {"status", status_name(cell.status)},
          {"value", has_value ? json_number(cell.value) : Json(nullptr)},
          {"standard_deviation", json_number(cell.standard_deviation)},
          {"standard_error", json_number(cell.standard_error)},
          {"n", has_value ? Json(cell.n) : Json(nullptr)},
          {"seeds", cell.seeds},
          {"failed_seeds", cell.failed_seeds},
          {"reason", cell.reason},
          {"ratio_to_dense", json_number(cell.ratio_to_dense)},
          {"rank", rank_name(cell.rank)},
          {"overlaps_calibration", cell.overlaps_calibration},
          {"overlaps_retraining", cell.overlaps_retraining}};
}

Json to_json(const std::optional<CalibrationDescription>& calibration) {
  if (!calibration) return nullptr;
  return {{"texts", calibration->texts},
          {"windows", calibration->windows},
          {"window", calibration->window},
          {"tokens", calibration->tokens}};
}

Json to_json(const Row& row, const std::vector<Column>& columns) {
  const RunDescription& about = row.about;
  Json json = {{"model", about.model},
               {"method", about.method},
               {"kind", kind_name(row.kind)},
               {"options", Json(about.options)},
               {"options_shown", row.options},
               {"distinction", row.distinction},
               {"shape", about.shape},
               {"active_ratio", json_number(about.active_ratio)},
               {"router", about.router},
               {"dtype", about.dtype},
               {"calibration", to_json(about.calibration)},
               {"retrained_tokens", about.retrained_tokens},
               {"retrain_recipe", about.retrain_recipe},
               {"retrain_texts", about.retrain_texts},
               {"seeds", row.seeds},
               {"cells", Json::array()}};
  for (size_t column = 0; column < columns.size(); ++column) {
    json["cells"].push_back(to_json(row.cells[column], columns[column]));
  }
  return json;
}

Json to_json(const FailedRun& failure) {
  return {{"subject", failure.subject}, {"stage", failure.stage}, {"seed", failure.seed}, {"reason", failure.reason}};
}

Json to_json(const PublishedNumber& number) {
  return {{"model", number.model},
          {"method", number.method},
          {"configuration", number.configuration},
          {"training_tokens", number.training_tokens},
          {"metric", number.metric},
          {"published_value", number.value},
          {"protocol", number.protocol},
          {"source", number.source}};
}

std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::string render_json(const Table& table, const ReportOptions& options) {
  Json json = {{"schema", "moebench/1"},   {"kind", "comparison"},       {"command", options.command},
               {"seeds", table.seeds},     {"dtypes", table.dtypes},     {"machine_classes", table.machine_classes},
               {"builds", table.builds},   {"warnings", table.warnings}, {"columns", Json::array()},
               {"failures", Json::array()}};
  for (const Column& column : table.columns) json["columns"].push_back(to_json(column));
  for (const FailedRun& failure : table.failures) json["failures"].push_back(to_json(failure));
  if (options.with_published) {
    json["published"] = {{"note", kPublishedSentence}, {"numbers", Json::array()}};
    for (const PublishedNumber& number : published_numbers()) json["published"]["numbers"].push_back(to_json(number));
  }
  std::string text = dump(json, 2);
  text.resize(text.size() - std::string_view("\n}").size());
  text += ",\n  \"rows\": [";
  // A row at a time and each on a line: all as one value would be a gigabyte for ten thousand runs.
  for (const Row& row : table.rows) {
    text += (&row == &table.rows.front() ? "\n    " : ",\n    ") + dump(to_json(row, table.columns), -1);
  }
  text += "\n  ]\n}\n";
  return text;
}

}  // namespace moebench
