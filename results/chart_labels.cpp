#include "results/chart_labels.h"

#include <algorithm>
#include <cmath>

#include "results/cell_text.h"

namespace moebench {
namespace {

constexpr size_t kFirstLine = 27, kSecondLine = 32;  // characters that fit

double height_of(const ChartLabel& label) { return label.second_line.empty() ? 18 : 33; }

// Counted in characters, so that none is cut in two.
std::string shortened(const std::string& text, size_t most) {
  size_t characters = 0;
  for (size_t position = 0; position < text.size(); ++position) {
    const bool starts_character = (static_cast<unsigned char>(text[position]) & 0xc0) != 0x80;
    if (starts_character && characters++ == most) return text.substr(0, position) + "…";
  }
  return text;
}

// "static_pruning (criterion=flap) S6A0E8": the brackets below, the rest above.
void set_lines(const std::string& whole, ChartLabel& label) {
  const std::string text = one_line(whole);
  const size_t open = text.find(" ("), close = text.find(')', std::min(open, text.size()));
  if (text.size() <= kFirstLine || open == std::string::npos || close == std::string::npos) {
    label.first_line = shortened(text, kFirstLine);
    return;
  }
  label.first_line = shortened(text.substr(0, open) + text.substr(close + 1), kFirstLine);
  label.second_line = shortened(text.substr(open + 2, close - open - 2), kSecondLine);
}

}  // namespace

ChartLabels::ChartLabels(const std::vector<ChartSeries>& series, const std::vector<ReferenceLine>& lines) {
  for (size_t index = 0; index < series.size(); ++index) {
    const std::vector<ChartPoint>& points = series[index].points;
    const auto last = std::find_if(points.rbegin(), points.rend(), [](const ChartPoint& point) {
      return std::isfinite(point.x) && std::isfinite(point.y);
    });
    if (last == points.rend()) continue;
    labels_.push_back({.series = index, .anchor = *last});
    set_lines(series[index].label, labels_.back());
  }
  for (const ReferenceLine& line : lines) {
    if (line.label.empty() || !std::isfinite(line.at)) continue;
    labels_.push_back({.anchor = {.y = line.at}, .first_line = shortened(one_line(line.label), kFirstLine)});
  }
}

double ChartLabels::height() const {
  double height = 0;
  for (const ChartLabel& label : labels_) height += height_of(label);
  return height;
}

std::vector<ChartLabel> ChartLabels::placed(const std::function<double(const ChartPoint&)>& y_of, double top,
                                            double bottom) const {
  std::vector<ChartLabel> labels = labels_;
  for (ChartLabel& label : labels) label.y = y_of(label.anchor);
  std::stable_sort(labels.begin(), labels.end(), [](const ChartLabel& a, const ChartLabel& b) { return a.y < b.y; });
  // Downwards until none is over another, then up again from the bottom where that went too far.
  double least = top;
  for (ChartLabel& label : labels) {
    label.y = std::max(label.y, least);
    least = label.y + height_of(label);
  }
  double most = bottom + 9;
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) {
    label->y = std::min(label->y, most - height_of(*label));
    most = label->y;
  }
  return labels;
}

}  // namespace moebench
