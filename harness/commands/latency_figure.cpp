#include "harness/commands/latency_figure.h"

#include <algorithm>

#include <fmt/format.h>

#include "results/chart_svg.h"
#include "results/latency_charts.h"

namespace moebench {
namespace {

using kernels::LatencyRow;

std::vector<std::string> mixtures(const std::vector<LatencyRow>& rows) {
  std::vector<std::string> names;
  for (const LatencyRow& row : rows) {
    if (row.network != "dense" && std::find(names.begin(), names.end(), row.network) == names.end()) {
      names.push_back(row.network);
    }
  }
  return names;
}

ChartSeries line_of(const std::vector<LatencyRow>& rows, const std::string& network, const std::string& variant) {
  const int64_t break_even = break_even_tokens(rows, network, variant);
  ChartSeries line;
  for (const LatencyRow& row : rows) {
    if (row.network != network || row.variant != variant) continue;
    const bool is_break_even = row.num_tokens == break_even;
    line.label = fmt::format("{}, {:.0f} % active", network, 100 * row.active_ratio);
    line.points.push_back({.x = static_cast<double>(row.num_tokens),
                           .y = row.ratio.median,
                           .low = row.ratio.low,
                           .high = row.ratio.high,
                           .note = kernels::name_of(row.verdict) + std::string(is_break_even ? ", from here on" : ""),
                           .is_marked = is_break_even});
  }
  std::sort(line.points.begin(), line.points.end(), [](const auto& a, const auto& b) { return a.x < b.x; });
  return line;
}

}  // namespace

std::string latency_figure(const std::vector<LatencyRow>& rows, const std::string& variant, const std::string& title) {
  Chart chart{.title = title,
              .description =
                  "Median of paired ratios over the best dense with its 95 % interval. Below 1 the mixture "
                  "is faster; a ring marks from where on it is for good."};
  for (const std::string& network : mixtures(rows)) {
    ChartSeries line = line_of(rows, network, variant);
    if (!line.points.empty()) chart.series.push_back(std::move(line));
  }
  set_latency_axes(chart);
  return standalone_svg(draw_chart(chart));
}

}  // namespace moebench
