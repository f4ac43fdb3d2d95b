#include "results/render.h"

#include <array>
#include <stdexcept>
#include <utility>

#include "results/comparison.h"
#include "results/history_charts.h"

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

void render(const ResultStore& store, ReportFormat format, const ReportOptions& options, const TextSink& write) {
  if (options.with_published && (format == ReportFormat::kCsv || format == ReportFormat::kWideCsv)) {
    throw std::invalid_argument(
        "report: --published is not for csv, where a quoted number would look like a measured one; use json");
  }
  std::vector<RunRecord> runs = store.runs();
  const std::vector<Chart> history = format == ReportFormat::kHtml ? history_charts(runs) : std::vector<Chart>();
  const Table table = compare_and_strip_runs(runs);
  if (format != ReportFormat::kHtml) std::vector<RunRecord>().swap(runs);
  switch (format) {
    case ReportFormat::kTerminal:
      return write(render_terminal(table, options));
    case ReportFormat::kHtml:
      return render_html(table, std::move(runs), history, options, write);
    case ReportFormat::kLatex:
      return write(render_latex(table, options));
    case ReportFormat::kCsv:
      return render_csv(table, write);
    case ReportFormat::kWideCsv:
      return write(render_wide_csv(table));
    case ReportFormat::kJson:
      return render_json(table, options, write);
    case ReportFormat::kMarkdown:
      break;
  }
  write(render_markdown(table, options));
}

}  // namespace moebench
