#include "results/chart_svg.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "results/chart_labels.h"
#include "results/chart_mark.h"
#include "results/figure_style.h"
#include "results/markup.h"
#include "results/number_format.h"

namespace moebench {
namespace {

constexpr double kWidth = 760, kLeastHeight = 420, kLeft = 72, kRight = 250, kTop = 58, kBottom = 54;
constexpr double kBetweenTicks = 44;  // pixels that the text of a tick needs at least

std::string text_of(const ChartAxis& axis, double value) {
  if (axis.text) return axis.text(value);
  // Ticks are round: 0.5 and not 0.5000, 0 and not -0.
  return fmt::format("{:.6g}", value == 0 ? 0 : value);
}

// From values to pixels.
class Position {
 public:
  Position(const ChartAxis& axis, const std::vector<double>& values, double from, double to)
      : scale_(axis.scale), from_(from), to_(to) {
    low_ = *std::min_element(values.begin(), values.end());
    high_ = *std::max_element(values.begin(), values.end());
    if (scale_ == Scale::kLogarithmic && low_ <= 0) scale_ = Scale::kLinear;
    widen();
    if (axis.least) low_ = *axis.least;
    if (axis.most) high_ = *axis.most;
  }

  double operator()(double value) const {
    const double share = (mapped(value) - mapped(low_)) / (mapped(high_) - mapped(low_));
    return from_ + std::clamp(share, -0.02, 1.02) * (to_ - from_);
  }
  std::vector<double> ticks(const ChartAxis& axis) const {
    return axis.ticks.empty() ? ticks_of(low_, high_, scale_) : axis.ticks;
  }

 private:
  double mapped(double value) const {
    return scale_ == Scale::kLogarithmic ? std::log(std::max(value, 1e-300)) : value;
  }

  // Room around the outermost values; a single value stands in the middle.
  void widen() {
    if (scale_ == Scale::kLogarithmic) {
      const double factor = high_ > low_ ? std::pow(high_ / low_, 0.06) : 1.5;
      low_ /= factor;
      high_ *= factor;
      return;
    }
    const double room = high_ > low_ ? 0.06 * (high_ - low_) : std::max(std::abs(high_), 1.0) * 0.2;
    const bool starts_at_zero = low_ == 0;
    low_ -= starts_at_zero ? 0 : room;
    high_ += room;
  }

  Scale scale_;
  double from_, to_, low_ = 0, high_ = 1;
};

class ChartDrawing {
 public:
  explicit ChartDrawing(const Chart& chart)
      : chart_(chart),
        labels_(chart.series, chart.horizontal),
        height_(std::max(kLeastHeight, labels_.height() + kTop + kBottom)),
        x_(chart.x, x_values(), kLeft, kWidth - kRight),
        y_(chart.y, y_values(), height_ - kBottom, kTop) {}

  std::string draw() {
    svg_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" role=\"img\">\n<title>{2}</title>\n<desc>{3}</desc>\n<text class=\"title\" x=\"{4}\" "
        "y=\"22\">{2}</text>\n",
        kWidth, coordinate(height_), escape_markup(chart_.title), escape_markup(chart_.description), 12);
    draw_axes();
    draw_references();
    draw_frontier();
    for (size_t series = 0; series < chart_.series.size(); ++series) draw_series(series);
    draw_labels();
    return svg_ + "</svg>\n";
  }

 private:
  static bool is_drawn(const ChartPoint& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

  std::vector<double> x_values() const {
    std::vector<double> values;
    for (const ChartSeries& series : chart_.series) {
      for (const ChartPoint& point : series.points) {
        if (is_drawn(point)) values.push_back(point.x);
      }
    }
    for (const ReferenceLine& line : chart_.vertical) values.push_back(line.at);
    values.insert(values.end(), chart_.x.ticks.begin(), chart_.x.ticks.end());
    return values.empty() ? std::vector<double>{0} : values;
  }

  std::vector<double> y_values() const {
    std::vector<double> values;
    for (const ChartSeries& series : chart_.series) {
      for (const ChartPoint& point : series.points) {
        if (!is_drawn(point)) continue;
        values.push_back(point.y);
        for (const std::optional<double>& end : {point.low, point.high}) {
          const bool fits = end && std::isfinite(*end) && (*end > 0 || chart_.y.scale == Scale::kLinear);
          if (fits) values.push_back(*end);
        }
      }
    }
    for (const ReferenceLine& line : chart_.horizontal) values.push_back(line.at);
    values.insert(values.end(), chart_.y.ticks.begin(), chart_.y.ticks.end());
    return values.empty() ? std::vector<double>{0} : values;
  }

  void line(const char* css, double x1, double y1, double x2, double y2) {
    svg_ += fmt::format("<line class=\"{}\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>", css, coordinate(x1),
                        coordinate(y1), coordinate(x2), coordinate(y2));
  }

  void text(const char* css, double x, double y, const std::string& content) {
    svg_ += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\">{}</text>\n", css, coordinate(x), coordinate(y),
                        escape_markup(content));
  }

  void draw_axes() {
    const double right = kWidth - kRight, bottom = height_ - kBottom;
    for (const double tick : y_.ticks(chart_.y)) {
      line("rule", kLeft, y_(tick), right, y_(tick));
      text("quiet end", kLeft - 8, y_(tick) + 4, text_of(chart_.y, tick));
    }
    double last = -1e9;
    for (const double tick : x_.ticks(chart_.x)) {
      const double at = x_(tick);
      line("axis", at, bottom, at, bottom + 4);
      if (at - last < kBetweenTicks) continue;
      text("quiet middle", at, bottom + 19, text_of(chart_.x, tick));
      last = at;
    }
    line("axis", kLeft, bottom, right, bottom);
    text("quiet", 12, 44, chart_.y.title);
    text("quiet middle", (kLeft + right) / 2, bottom + 42, chart_.x.title);
  }

  void draw_references() {
    const double right = kWidth - kRight, bottom = height_ - kBottom;
    for (const ReferenceLine& reference : chart_.horizontal) {
      line("reference", kLeft, y_(reference.at), right, y_(reference.at));
    }
    for (const ReferenceLine& reference : chart_.vertical) {
      line("reference", x_(reference.at), kTop, x_(reference.at), bottom);
      if (!reference.label.empty()) text("quiet end", x_(reference.at) - 6, kTop + 12, reference.label);
    }
  }

  void draw_frontier() {
    if (chart_.frontier.empty()) return;
    std::string path;
    for (const ChartPoint& point : chart_.frontier) {
      path += path.empty() ? fmt::format("M{} {}", coordinate(x_(point.x)), coordinate(y_(point.y)))
                           : fmt::format("H{}V{}", coordinate(x_(point.x)), coordinate(y_(point.y)));
    }
    svg_ += fmt::format("<path class=\"frontier\" d=\"{}H{}\"/>\n", path, coordinate(kWidth - kRight));
  }

  size_t style_of(size_t series) const { return chart_.series[series].style.value_or(series); }

  void draw_series(size_t index) {
    const ChartSeries& series = chart_.series[index];
    std::string points, marks;
    for (const ChartPoint& point : series.points) {
      if (!is_drawn(point)) continue;
      const double x = x_(point.x), y = y_(point.y);
      points += (points.empty() ? "" : " ") + coordinate(x) + "," + coordinate(y);
      if (point.low && point.high) {
        marks += fmt::format("<path class=\"interval\" d=\"M{0} {1}V{2}M{3} {1}h6M{3} {2}h6\"/>", coordinate(x),
                             coordinate(y_(*point.low)), coordinate(y_(*point.high)), coordinate(x - 3));
      }
      const bool is_hollow = series.is_bound || point.is_marked;
      marks += "<g>" + draw_mark(style_of(index), x, y, point.is_marked ? 6.5 : 4.5, is_hollow) + "<title>" +
               escape_markup(tooltip(series, point)) + "</title></g>";
    }
    if (points.empty()) return;
    std::string levels;
    for (const ChartLevel& level : series.levels) {
      levels += fmt::format("M{} {}H{}", coordinate(x_(level.from)), coordinate(y_(level.y)), coordinate(x_(level.to)));
    }
    svg_ += fmt::format("<g class=\"s{}\">", style_of(index) % kNumSeriesStyles);
    if (series.has_line) svg_ += "<polyline class=\"line\" points=\"" + points + "\"/>";
    if (!levels.empty()) svg_ += "<path class=\"level\" d=\"" + levels + "\"/>";
    svg_ += marks + "</g>\n";
  }

  std::string tooltip(const ChartSeries& series, const ChartPoint& point) const {
    std::string tip = series.label + ", " + text_of(chart_.x, point.x) + ": " + format_number(point.y);
    if (point.low && point.high) tip += " (" + format_number(*point.low) + " to " + format_number(*point.high) + ")";
    return point.note.empty() ? tip : tip + ", " + point.note;
  }

  void draw_labels() {
    const double left = kWidth - kRight + 16;
    for (const ChartLabel& label :
         labels_.placed([&](const ChartPoint& point) { return y_(point.y); }, kTop, height_ - kBottom)) {
      if (!label.series) {
        line("leader", kWidth - kRight, y_(label.anchor.y), left - 4, label.y);
        text("quiet", left, label.y + 4.5, label.first_line);
        continue;
      }
      svg_ += fmt::format("<g class=\"s{}\"><title>{}</title>", style_of(*label.series) % kNumSeriesStyles,
                          escape_markup(chart_.series[*label.series].label));
      svg_ += fmt::format("<path class=\"leader\" d=\"M{} {}L{} {}\"/>", coordinate(x_(label.anchor.x) + 6),
                          coordinate(y_(label.anchor.y)), coordinate(left - 4), coordinate(label.y));
      svg_ += draw_mark(style_of(*label.series), left + 5, label.y, 4.5, chart_.series[*label.series].is_bound);
      text("", left + 16, label.y + 4.5, label.first_line);
      if (!label.second_line.empty()) text("quiet small", left + 16, label.y + 18, label.second_line);
      svg_ += "</g>\n";
    }
  }

  const Chart& chart_;
  ChartLabels labels_;
  double height_;
  Position x_, y_;
  std::string svg_;
};

}  // namespace

std::string draw_chart(const Chart& chart) { return ChartDrawing(chart).draw(); }

std::string standalone_svg(const std::string& svg) {
  const size_t end_of_tag = svg.find('>') + 1;
  return svg.substr(0, end_of_tag) + "\n<style>" + figure_style() + "</style>" + svg.substr(end_of_tag);
}

}  // namespace moebench
