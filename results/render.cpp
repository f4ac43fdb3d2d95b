#include "results/render.h"

#include <array>
#include <stdexcept>
#include <utility>

#include "results/comparison.h"

namespace moebench {
namespace {

constexpr std::array<std::pair<const char*, ReportFormat>, 7> kFormats = {{{"csv", ReportFormat::kCsv},
                                                                           {"csv-wide", ReportFormat::kWideCsv},
                                                                           {"html", ReportFormat::kHtml},
                                                                           {"json", ReportFormat::kJson},
                                                                           {"latex", ReportFormat::kLatex},
                                                                           {"markdown", ReportFormat::kMarkdown},
                                                                           {"terminal", ReportFormat::kTerminal}}};

}  // namespace

ReportFormat parse_report_format(const std::string& name) {
  std::string known;
  for (const auto& [format_name, format] : kFormats) {
    if (name == format_name) return format;
    known += std::string(" ") + format_name;
  }
  throw std::invalid_argument("report: unknown format '" + name + "'; known:" + known);
}

std::string render(const ResultStore& store, ReportFormat format, const ReportOptions& options) {
  if (options.with_published && (format == ReportFormat::kCsv || format == ReportFormat::kWideCsv)) {
    throw std::invalid_argument(
        "report: --published is not for csv, where a quoted number would look like a measured one; use json");
  }
  std::vector<RunRecord> runs = store.runs();
  const Table table = compare_runs(runs);
  if (format != ReportFormat::kHtml) runs = {};  // which can be a million metrics that the table has, too
  switch (format) {
    case ReportFormat::kTerminal:
      return render_terminal(table, options);
    case ReportFormat::kHtml:
      return render_html(table, runs, options);
    case ReportFormat::kLatex:
      return render_latex(table, options);
    case ReportFormat::kCsv:
      return render_csv(table);
    case ReportFormat::kWideCsv:
      return render_wide_csv(table);
    case ReportFormat::kJson:
      return render_json(table, options);
    case ReportFormat::kMarkdown:
      break;
  }
  return render_markdown(table, options);
}

}  // namespace moebench
