#include "harness/commands/latency_figure.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace moebench {
namespace {

using kernels::LatencyRow;

constexpr double kWidth = 720, kHeight = 420, kLeft = 64, kRight = 150, kTop = 48, kBottom = 56;
// Okabe and Ito: told apart by the colour-blind, too.
constexpr const char* kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"};

constexpr const char* kStyle = R"(
    svg { background: #ffffff; }
    text { font: 13px system-ui, sans-serif; fill: #222222; }
    .title { font-size: 15px; font-weight: 600; }
    .axis { stroke: #222222; } .grid { stroke: #dddddd; } .dense { stroke: #666666; stroke-dasharray: 6 4; }
    @media (prefers-color-scheme: dark) {
      svg { background: #16181c; } text { fill: #e6e6e6; }
      .axis { stroke: #e6e6e6; } .grid { stroke: #33373d; } .dense { stroke: #aaaaaa; }
    })";

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '<') {
      result += "&lt;";
    } else if (c == '&') {
      result += "&amp;";
    } else {
      result += c;
    }
  }
  return result;
}

std::vector<std::string> mixtures(const std::vector<LatencyRow>& rows) {
  std::vector<std::string> names;
  for (const LatencyRow& row : rows) {
    if (row.network != "dense" && std::find(names.begin(), names.end(), row.network) == names.end()) {
      names.push_back(row.network);
    }
  }
  return names;
}

std::vector<LatencyRow> line_of(const std::vector<LatencyRow>& rows, const std::string& network,
                                const std::string& variant) {
  std::vector<LatencyRow> line;
  for (const LatencyRow& row : rows) {
    if (row.network == network && row.variant == variant) line.push_back(row);
  }
  std::sort(line.begin(), line.end(), [](const auto& a, const auto& b) { return a.num_tokens < b.num_tokens; });
  return line;
}

// From tokens and ratios to the picture's coordinates.
struct Axes {
  double least, most, highest;

  double x(int64_t tokens) const {
    const double share = most > least ? (std::log2(static_cast<double>(tokens)) - least) / (most - least) : 0.5;
    return kLeft + share * (kWidth - kLeft - kRight);
  }
  double y(double ratio) const { return kHeight - kBottom - ratio / highest * (kHeight - kTop - kBottom); }
};

Axes axes_of(const std::vector<LatencyRow>& rows, const std::string& variant) {
  Axes axes{.least = 1e9, .most = -1e9, .highest = 1.2};
  for (const LatencyRow& row : rows) {
    axes.least = std::min(axes.least, std::log2(static_cast<double>(row.num_tokens)));
    axes.most = std::max(axes.most, std::log2(static_cast<double>(row.num_tokens)));
    if (row.variant == variant && row.network != "dense") axes.highest = std::max(axes.highest, row.ratio.high * 1.05);
  }
  return axes;
}

std::string draw_axes(const Axes& axes, const std::vector<LatencyRow>& rows) {
  std::string svg;
  const double right = kWidth - kRight, bottom = kHeight - kBottom;
  const double step = axes.highest > 3 ? 1 : 0.25;
  for (double ratio = 0; ratio <= axes.highest; ratio += step) {
    svg += fmt::format("  <line class=\"grid\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>\n", kLeft, right,
                       axes.y(ratio));
    svg += fmt::format("  <text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.2f}</text>\n", kLeft - 8,
                       axes.y(ratio) + 4, ratio);
  }
  std::vector<int64_t> counts;
  for (const LatencyRow& row : rows) counts.push_back(row.num_tokens);
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  for (const int64_t tokens : counts) {
    svg += fmt::format("  <text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n", axes.x(tokens), bottom + 20,
                       tokens);
  }
  svg += fmt::format("  <line class=\"axis\" x1=\"{0}\" x2=\"{1}\" y1=\"{2}\" y2=\"{2}\"/>\n", kLeft, right, bottom);
  svg += fmt::format("  <text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">tokens in a call</text>\n",
                     (kLeft + right) / 2, bottom + 42);
  svg += fmt::format("  <line class=\"dense\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>\n", kLeft, right,
                     axes.y(1));
  svg += fmt::format("  <text x=\"{}\" y=\"{:.1f}\">best dense</text>\n", right + 8, axes.y(1) + 4);
  return svg;
}

std::string draw_line(const Axes& axes, const std::vector<LatencyRow>& line, const std::string& colour,
                      int64_t break_even) {
  std::string points, svg;
  for (const LatencyRow& row : line) {
    const double x = axes.x(row.num_tokens), y = axes.y(row.ratio.median);
    points += fmt::format("{:.1f},{:.1f} ", x, y);
    svg += fmt::format("  <line x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1:.1f}\" y2=\"{2:.1f}\" stroke=\"{3}\"/>\n", x,
                       axes.y(row.ratio.low), axes.y(row.ratio.high), colour);
    const bool is_break_even = row.num_tokens == break_even;
    svg += fmt::format(
        "  <circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\" stroke=\"{}\" stroke-width=\"2\">"
        "<title>{} tokens: {:.3f} ({:.3f} to {:.3f}), {}{}</title></circle>\n",
        x, y, is_break_even ? 6 : 3, is_break_even ? "none" : colour, colour, row.num_tokens, row.ratio.median,
        row.ratio.low, row.ratio.high, kernels::name_of(row.verdict), is_break_even ? ", from here on" : "");
  }
  svg += fmt::format("  <polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n", points, colour);
  const LatencyRow& last = line.back();
  svg += fmt::format("  <text x=\"{}\" y=\"{:.1f}\">{}, {:.0f} % active</text>\n", kWidth - kRight + 8,
                     axes.y(last.ratio.median) + 4, escaped(last.network), 100 * last.active_ratio);
  return svg;
}

}  // namespace

std::string latency_figure(const std::vector<LatencyRow>& rows, const std::string& variant, const std::string& title) {
  const Axes axes = axes_of(rows, variant);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" role=\"img\">\n"
      "  <title>{2}</title>\n  <style>{3}\n  </style>\n  <text class=\"title\" x=\"{4}\" y=\"26\">{2}</text>\n",
      kWidth, kHeight, escaped(title), kStyle, kLeft);
  svg += draw_axes(axes, rows);
  size_t colour = 0;
  for (const std::string& network : mixtures(rows)) {
    const std::vector<LatencyRow> line = line_of(rows, network, variant);
    if (line.empty()) continue;
    svg += draw_line(axes, line, kColours[colour++ % std::size(kColours)],
                     kernels::break_even_tokens(rows, network, variant));
  }
  return svg + "</svg>\n";
}

}  // namespace moebench
