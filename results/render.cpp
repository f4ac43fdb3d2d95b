#include "results/render.h"

#include <stdexcept>

#include "results/comparison.h"

namespace moebench {

ReportFormat parse_report_format(const std::string& name) {
  if (name == "markdown") return ReportFormat::kMarkdown;
  if (name == "csv") return ReportFormat::kCsv;
  if (name == "json") return ReportFormat::kJson;
  throw std::invalid_argument("report: unknown format '" + name + "'; known: csv json markdown");
}

std::string render(const ResultStore& store, ReportFormat format, const ReportOptions& options) {
  const Table table = compare_runs(store.runs());
  switch (format) {
    case ReportFormat::kCsv:
      return render_csv(table);
    case ReportFormat::kJson:
      return render_json(table, options);
    case ReportFormat::kMarkdown:
      break;
  }
  return render_markdown(table, options);
}

}  // namespace moebench
