// A chart of x and y as data: what its picture shows, and the table below it says in numbers.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace moebench {

struct ChartPoint {
  double x = 0, y = 0;
  std::optional<double> low, high;  // interval of y
  std::string note;                 // for the table and the tooltip: "3 seeds"; often ""
  bool is_marked = false;           // stands out: where a line breaks even
};

// A stretch that is all of one level, drawn behind the points.
struct ChartLevel {
  double from = 0, to = 0, y = 0;
};

struct ChartSeries {
  std::string label;
  bool has_line = true;
  bool is_bound = false;           // hollow marks: no competitor
  std::optional<size_t> style;     // colour and mark, so that a name keeps them from chart to chart; none: its position
  std::vector<ChartPoint> points;  // ascending by x
  std::vector<ChartLevel> levels;
};

enum class Scale { kLinear, kLogarithmic };

struct ChartAxis {
  std::string title;
  Scale scale = Scale::kLinear;
  std::function<std::string(double)> text;  // of a tick or a value; null: as format_number
  std::vector<double> ticks;                // where given, these and no others
  std::optional<double> least, most;        // where given, the axis ends here and what is beyond is cut off
};

struct ReferenceLine {
  double at = 0;
  std::string label;  // "" draws the line alone
};

struct Chart {
  std::string title;
  std::string description;  // a sentence or two: what it shows, for those who do not see it as for those who do
  ChartAxis x, y;
  std::vector<ChartSeries> series;
  std::vector<ReferenceLine> horizontal, vertical;
  // What no other point beats in both, as steps from left to right; empty where that has no meaning.
  std::vector<ChartPoint> frontier;
};

// Whether there is a finite point to draw.
bool has_points(const Chart& chart);

// Five or so round numbers from low to high, which differ; of a logarithmic scale 1, 2 and 5 times powers of ten as far
// as they do not crowd.
std::vector<double> ticks_of(double low, double high, Scale scale);

}  // namespace moebench
