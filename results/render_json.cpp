#include <fmt/format.h>
#include <fmt/ranges.h>

#include "results/cell_text.h"
#include "results/json_number.h"
#include "results/published_numbers.h"
#include "results/render.h"

namespace moebench {
namespace {

using OrderedJson = nlohmann::ordered_json;  // keys as written here

OrderedJson to_json(const Column& column) {
  return {{"metric", column.metric},
          {"unit", column.unit},
          {"better", direction_name(column.direction)},
          {"task", column.task},
          {"task_options", OrderedJson(column.task_options)},
          {"distinction", column.distinction},
          {"headline", column.is_headline}};
}

std::string dump(const OrderedJson& json, int indent) {
  return json.dump(indent, ' ', false, OrderedJson::error_handler_t::replace);
}

// Written as it is: with a million cells, trees would take most of the time.
std::string cell_text(const Cell& cell, const Column& column) {
  const bool has_value = cell.status == CellStatus::kValue;
  const auto number = [](std::optional<double> value) { return json_number(value).dump(); };
  return fmt::format(
      R"({{"metric":{},"status":"{}","value":{},"standard_deviation":{},"standard_error":{},"n":{},"seeds":[{}],)"
      R"("failed_seeds":[{}],"reason":{},"ratio_to_dense":{},"rank":"{}","overlaps_calibration":{},)"
      R"("overlaps_retraining":{}}})",
      dump(column.metric, -1), status_name(cell.status), number(has_value ? std::optional(cell.value) : std::nullopt),
      number(cell.standard_deviation), number(cell.standard_error), has_value ? std::to_string(cell.n) : "null",
      fmt::join(cell.seeds->measured, ","), fmt::join(cell.seeds->failed, ","), dump(cell.seeds->reason, -1),
      number(cell.ratio_to_dense), rank_name(cell.rank), cell.overlaps_calibration, cell.overlaps_retraining);
}

OrderedJson to_json(const std::optional<CalibrationDescription>& calibration) {
  if (!calibration) return nullptr;
  return {{"texts", calibration->texts},
          {"windows", calibration->windows},
          {"window", calibration->window},
          {"tokens", calibration->tokens}};
}

std::string row_text(const Row& row, const std::vector<Column>& columns) {
  const RunDescription& about = row.about;
  const OrderedJson json = {{"model", about.model},
                            {"method", about.method},
                            {"kind", kind_name(row.kind)},
                            {"options", OrderedJson(about.options)},
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
                            {"seeds", row.seeds}};
  std::string text = dump(json, -1);
  text.back() = ',';  // the brace that the cells go before
  text += "\"cells\":[";
  for (size_t column = 0; column < columns.size(); ++column) {
    text += (column == 0 ? "" : ",") + cell_text(row.cells[column], columns[column]);
  }
  return text + "]}";
}

OrderedJson to_json(const FailedRun& failure) {
  return {{"subject", failure.subject}, {"stage", failure.stage}, {"seed", failure.seed}, {"reason", failure.reason}};
}

OrderedJson to_json(const PublishedNumber& number) {
  return {{"model", number.model},
          {"method", number.method},
          {"configuration", number.configuration},
          {"training_tokens", number.training_tokens},
          {"metric", number.metric},
          {"published_value", number.value},
          {"protocol", number.protocol},
          {"source", number.source}};
}

}  // namespace

void render_json(const Table& table, const ReportOptions& options, const TextSink& write) {
  OrderedJson json = {{"schema", "moebench/1"},          {"kind", "comparison"},
                      {"command", options.command},      {"seeds", table.seeds},
                      {"dtypes", table.dtypes},          {"machine_classes", table.machine_classes},
                      {"builds", table.builds},          {"warnings", table.warnings},
                      {"columns", OrderedJson::array()}, {"failures", OrderedJson::array()}};
  for (const Column& column : table.columns) json["columns"].push_back(to_json(column));
  for (const FailedRun& failure : table.failures) json["failures"].push_back(to_json(failure));
  if (options.with_published) {
    json["published"] = {{"note", kPublishedSentence}, {"numbers", OrderedJson::array()}};
    for (const PublishedNumber& number : published_numbers()) json["published"]["numbers"].push_back(to_json(number));
  }
  std::string text = dump(json, 2);
  text.resize(text.size() - std::string_view("\n}").size());
  write(text + ",\n  \"rows\": [");
  // A row at a time and each on a line: all as one value would be a gigabyte for ten thousand runs.
  for (const Row& row : table.rows) {
    write((&row == &table.rows.front() ? "\n    " : ",\n    ") + row_text(row, table.columns));
  }
  write("\n  ]\n}\n");
}

}  // namespace moebench
