#include "results/figures.h"

#include <algorithm>

#include <fmt/format.h>

#include "results/chart_svg.h"
#include "results/heat_map.h"
#include "results/history_charts.h"
#include "results/latency_charts.h"
#include "results/load_maps.h"
#include "results/number_format.h"
#include "results/quality_charts.h"

namespace moebench {
namespace {

constexpr size_t kMostFigures = 8;  // of a section: more is not read, and the page grows

std::string value_text(const ChartAxis& axis, double value) {
  return axis.text ? axis.text(value) : format_number(value);
}

Figure figure_of(const Chart& chart) {
  Figure figure{.title = chart.title, .description = chart.description, .svg = draw_chart(chart)};
  figure.header = {"series", chart.x.title, chart.y.title, "low", "high", "note"};
  const auto text = [](const std::optional<double>& end) { return end ? format_number(*end) : std::string(); };
  for (const ReferenceLine& line : chart.horizontal) {
    figure.rows.push_back({line.label, "", format_number(line.at), "", "", "line"});
  }
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      figure.rows.push_back({series.label, value_text(chart.x, point.x), format_number(point.y), text(point.low),
                             text(point.high), point.note});
    }
  }
  return figure;
}

Figure figure_of(const LoadMap& map) {
  Figure figure{.title = map.title, .description = map.description, .svg = draw_load_map(map)};
  size_t num_experts = 0;
  for (const LoadMap::Layer& layer : map.layers) num_experts = std::max(num_experts, layer.shares.size());
  figure.header = {"layer"};
  for (size_t expert = 0; expert < num_experts; ++expert) figure.header.push_back("expert " + std::to_string(expert));
  for (const LoadMap::Layer& layer : map.layers) {
    std::vector<std::string> row = {std::to_string(layer.layer)};
    for (const double share : layer.shares) row.push_back(fmt::format("{:.3f}", share));
    row.resize(num_experts + 1);
    figure.rows.push_back(std::move(row));
  }
  return figure;
}

template <class Data>
FigureSection section_of(const std::string& title, const std::string& name, const std::vector<Data>& data,
                         const std::string& if_none) {
  FigureSection section{.title = title};
  for (const Data& each : data) {
    if (section.figures.size() == kMostFigures) break;
    section.figures.push_back(figure_of(each));
    section.figures.back().name = name + "-" + std::to_string(section.figures.size());
  }
  if (data.empty()) section.note = if_none;
  if (data.size() > kMostFigures) {
    section.note = fmt::format("{} more of these are left out; their numbers are in the csv and json formats.",
                               data.size() - kMostFigures);
  }
  return section;
}

}  // namespace

std::vector<FigureSection> draw_figures(const Table& table, std::vector<Chart> history) {
  for (size_t chart = 0; chart < std::min(history.size(), kMostFigures); ++chart) mark_changes(history[chart]);
  return {section_of("Quality against activated parameters", "pareto", pareto_charts(table),
                     "The database has no conversion whose quality was measured."),
          section_of("Latency against tokens", "latency", latency_charts(table),
                     "The database has no latency: the task kernel_latency measures it."),
          section_of("Quality against retraining tokens", "retraining", retraining_charts(table),
                     "The database has no retrained conversion: a sweep with [retraining] makes some."),
          section_of("Expert load by layer", "load", load_maps(table),
                     "The database has no expert load: the task expert_load measures it."),
          section_of("History", "history", history,
                     "Nothing in the database has been measured at three different times, so there is no history.")};
}

}  // namespace moebench
