// What all figures look like, in light, in dark and on paper.
#pragma once

#include <string>

namespace moebench {

struct Palette {
  const char *ground, *ink, *quiet, *rule, *soft;  // background, text, lesser text, lines, raised ground
  const char *under, *over;                        // less and more than even
  const char* series[8];                           // after Okabe and Ito, each at least 3:1 against the ground
};

constexpr int kNumSeriesStyles = 8;

const Palette& light_palette();
const Palette& dark_palette();

// Rules of class "figure": series are of class "s0" to "s7" (their colour is `color`, so children use currentColor).
// Without custom properties, which converters of SVG do not know.
std::string figure_style();

}  // namespace moebench
