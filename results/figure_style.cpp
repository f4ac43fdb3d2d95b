#include "results/figure_style.h"

#include <fmt/format.h>

namespace moebench {
namespace {

constexpr const char* kShapes = R"(
.figure { font: 13px system-ui, -apple-system, "Segoe UI", "Liberation Sans", sans-serif; }
.figure text { font-variant-numeric: tabular-nums; }
.figure .end { text-anchor: end; } .figure .middle { text-anchor: middle; }
.figure .title { font-size: 15px; font-weight: 600; } .figure .small { font-size: 11px; }
.figure .reference { stroke-dasharray: 5 4; }
.figure .frontier { stroke-width: 1.5; fill: none; opacity: .6; }
.figure .line { stroke: currentColor; stroke-width: 2; fill: none; stroke-linejoin: round; }
.figure .level { stroke: currentColor; stroke-width: 7; opacity: .25; fill: none; }
.figure .interval { stroke: currentColor; stroke-width: 1.5; fill: none; }
.figure .leader { stroke: currentColor; opacity: .4; fill: none; }
.figure .mark { fill: currentColor; stroke-width: 1; }
.figure .hollow { stroke: currentColor; stroke-width: 2; }
)";

std::string colour_rules(const Palette& palette) {
  std::string rules = fmt::format(
      ".figure {{ background: {ground}; }} .figure text {{ fill: {ink}; }} .figure .quiet {{ fill: {quiet}; }}\n"
      ".figure .rule {{ stroke: {rule}; }} .figure .axis, .figure .reference, .figure .frontier {{ stroke: {quiet}; "
      "}}\n"
      ".figure .mark {{ stroke: {ground}; }} .figure .hollow {{ fill: {ground}; stroke: currentColor; }}\n"
      ".figure .even {{ fill: {soft}; }} .figure .under {{ fill: {under}; }} .figure .over {{ fill: {over}; }}\n",
      fmt::arg("ground", palette.ground), fmt::arg("ink", palette.ink), fmt::arg("quiet", palette.quiet),
      fmt::arg("rule", palette.rule), fmt::arg("soft", palette.soft), fmt::arg("under", palette.under),
      fmt::arg("over", palette.over));
  for (int series = 0; series < kNumSeriesStyles; ++series) {
    rules +=
        fmt::format(".figure .s{} {{ color: {}; }}{}", series, palette.series[series], series % 4 == 3 ? "\n" : " ");
  }
  return rules;
}

}  // namespace

const Palette& light_palette() {
  static const Palette palette = {
      "#ffffff", "#1c2024",
      "#5b6470", "#dfe3e8",
      "#f1f3f6", "#0072b2",
      "#c65200", {"#0072b2", "#c65200", "#00785a", "#a03f82", "#8f6200", "#3f7fae", "#6b5b4b", "#44505c"}};
  return palette;
}

const Palette& dark_palette() {
  static const Palette palette = {
      "#15181c", "#e8eaed",
      "#a2abb6", "#333a42",
      "#1f242a", "#58b4ee",
      "#ff9350", {"#58b4ee", "#ff9350", "#3fcba3", "#e59bcb", "#ecb443", "#9ad3f7", "#cdb9a5", "#bac4ce"}};
  return palette;
}

std::string figure_style() {
  return kShapes + colour_rules(light_palette()) + "@media (prefers-color-scheme: dark) {\n" +
         colour_rules(dark_palette()) + "}\n@media print {\n" + colour_rules(light_palette()) + "}\n";
}

}  // namespace moebench
