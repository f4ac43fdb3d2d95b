// The picture of a chart.
#pragma once

#include <string>

#include "results/chart.h"

namespace moebench {

// An <svg> element of class "figure" with <title> and <desc>; labels stand beside the lines that they name. Values that
// are not finite are left out. It needs figure_style() around it.
std::string draw_chart(const Chart& chart);

// A file of its own: the same with its style, which follows the reader's light or dark theme.
std::string standalone_svg(const std::string& svg);

}  // namespace moebench
