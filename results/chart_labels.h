// Where the names of a chart's series and horizontal lines stand: beside its right edge, near the last point of each,
// none over another.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "results/chart.h"

namespace moebench {

struct ChartLabel {
  std::optional<size_t> series;  // none: of a horizontal line
  ChartPoint anchor;             // the last finite point of the series
  double y = 0;                  // of the middle of the first line, in pixels
  std::string first_line;        // "cmoe S3A3E8"
  std::string second_line;       // what stands in brackets behind it, shortened; often ""
};

class ChartLabels {
 public:
  ChartLabels(const std::vector<ChartSeries>& series, const std::vector<ReferenceLine>& lines);

  double height() const;  // pixels that all labels need

  // Within top and bottom as far as they fit. y_of: a point's pixel.
  std::vector<ChartLabel> placed(const std::function<double(const ChartPoint&)>& y_of, double top, double bottom) const;

 private:
  std::vector<ChartLabel> labels_;
};

}  // namespace moebench
