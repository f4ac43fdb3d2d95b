// All figures that a database has something for.
#pragma once

#include <string>
#include <vector>

#include "results/chart.h"
#include "results/table.h"

namespace moebench {

struct Figure {
  std::string name;  // "pareto-1": of its file and its anchor
  std::string title, description;
  std::string svg;  // as draw_chart: needs figure_style() around it
  // The same in numbers: what is drawn, all of it.
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

struct FigureSection {
  std::string title;
  std::vector<Figure> figures;
  std::string note;  // why there is none, or that there are more; often ""
};

// In the order of a report: Pareto, latency, retraining, expert load, history (history_charts of the table's runs).
std::vector<FigureSection> draw_figures(const Table& table, std::vector<Chart> history);

}  // namespace moebench
