// The marks of a chart's points.
#pragma once

#include <cstddef>
#include <string>

namespace moebench {

// A shape of radius r around x, y, in the colour around it; hollow ones in their outline only. A style has its own
// shape as it has its colour, so that neither alone tells series apart.
std::string draw_mark(size_t style, double x, double y, double r, bool is_hollow);

}  // namespace moebench
