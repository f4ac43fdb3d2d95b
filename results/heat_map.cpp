#include "results/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "results/markup.h"

namespace moebench {
namespace {

constexpr double kKeyHeight = 160;
constexpr int kSteps = 4;  // of colour, each way: an octave is two

// From -kSteps (a quarter of the mean or less) over 0 (even) to kSteps (four times it or more).
int step_of(double share, double mean) {
  if (!(share > 0 && mean > 0)) return -kSteps;
  return std::clamp(static_cast<int>(std::lround(2 * std::log2(share / mean))), -kSteps, kSteps);
}

class MapDrawing {
 public:
  explicit MapDrawing(const LoadMap& map) : map_(map) {
    for (const LoadMap::Layer& layer : map.layers) num_experts_ = std::max(num_experts_, layer.shares.size());
    const auto num_layers = static_cast<double>(std::max<size_t>(map.layers.size(), 1));
    cell_width_ = std::min(40.0, (kWidth - kLeft - kRight) / num_layers);
    cell_height_ = std::clamp(240.0 / static_cast<double>(std::max<size_t>(num_experts_, 1)), 4.0, 24.0);
    bottom_ = kTop + cell_height_ * static_cast<double>(num_experts_);
  }

  std::string draw() {
    for (size_t column = 0; column < map_.layers.size(); ++column) add_layer(column);
    svg_ = fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
        "height=\"{1}\" role=\"img\">\n<title>{2}</title>\n<desc>{3}</desc>\n<text class=\"title\" x=\"12\" "
        "y=\"22\">{2}</text>\n",
        kWidth, coordinate(std::max(bottom_ + kBottom, kTop + kKeyHeight)), escape_markup(map_.title),
        escape_markup(map_.description));
    for (int step = -kSteps; step <= kSteps; ++step) draw_step(step);
    if (!dead_.empty()) svg_ += "<path class=\"axis\" fill=\"none\" d=\"" + dead_ + "\"/>\n";
    draw_axes();
    draw_key();
    return svg_ + "</svg>\n";
  }

 private:
  static constexpr double kWidth = 760, kLeft = 72, kRight = 130, kTop = 58, kBottom = 54;

  static std::string rectangle(double x, double y, double width, double height) {
    return fmt::format("M{} {}h{}v{}h-{}z", coordinate(x), coordinate(y), coordinate(width), coordinate(height),
                       coordinate(width));
  }

  // One path for all cells of a colour: thousands of elements would be most of a page's bytes.
  void add_layer(size_t column) {
    const std::vector<double>& shares = map_.layers[column].shares;
    const double mean = std::accumulate(shares.begin(), shares.end(), 0.0) / static_cast<double>(shares.size());
    const double x = kLeft + cell_width_ * static_cast<double>(column);
    for (size_t expert = 0; expert < shares.size(); ++expert) {
      const double y = kTop + cell_height_ * static_cast<double>(expert);
      cells_[static_cast<size_t>(step_of(shares[expert], mean) + kSteps)] +=
          rectangle(x, y, cell_width_ - 1, cell_height_ - 1);
      if (shares[expert] <= 0) {
        dead_ += fmt::format("M{} {}L{} {}", coordinate(x + 2), coordinate(y + 2), coordinate(x + cell_width_ - 3),
                             coordinate(y + cell_height_ - 3));
      }
    }
  }

  static std::string fill(int step) {
    if (step == 0) return "class=\"even\"";
    return fmt::format("class=\"{}\" fill-opacity=\"{:.2f}\"", step < 0 ? "under" : "over",
                       0.15 + 0.85 * std::abs(step) / kSteps);
  }

  void draw_step(int step) {
    const std::string& path = cells_[static_cast<size_t>(step + kSteps)];
    if (!path.empty()) svg_ += fmt::format("<path {} d=\"{}\"/>\n", fill(step), path);
  }

  void text(const char* css, double x, double y, const std::string& content) {
    svg_ += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\">{}</text>\n", css, coordinate(x), coordinate(y), content);
  }

  void draw_axes() {
    const size_t every_expert = std::max<size_t>(1, static_cast<size_t>(std::ceil(16 / cell_height_)));
    for (size_t expert = 0; expert < num_experts_; expert += every_expert) {
      text("quiet end", kLeft - 8, kTop + cell_height_ * (static_cast<double>(expert) + 0.5) + 4.5,
           std::to_string(expert));
    }
    const size_t every_layer = std::max<size_t>(1, static_cast<size_t>(std::ceil(24 / cell_width_)));
    for (size_t column = 0; column < map_.layers.size(); column += every_layer) {
      text("quiet middle", kLeft + cell_width_ * (static_cast<double>(column) + 0.5), bottom_ + 18,
           std::to_string(map_.layers[column].layer));
    }
    text("quiet", 12, 44, "expert");
    text("quiet middle", kLeft + cell_width_ * static_cast<double>(map_.layers.size()) / 2, bottom_ + 40, "layer");
  }

  void draw_key() {
    const double x = kLeft + cell_width_ * static_cast<double>(map_.layers.size()) + 20;
    text("quiet", x, kTop + 4, "share / mean");
    for (int step = kSteps; step >= -kSteps; --step) {
      const double y = kTop + 14 + 15.0 * (kSteps - step);
      svg_ += fmt::format("<path {} d=\"{}\"/>", fill(step), rectangle(x, y, 18, 14));
      constexpr std::array<const char*, 2 * kSteps + 1> kNames = {"≤ ¼", "", "½", "", "1", "", "2", "", "≥ 4"};
      text("quiet", x + 26, y + 11, kNames[static_cast<size_t>(step + kSteps)]);
    }
  }

  const LoadMap& map_;
  size_t num_experts_ = 0;
  double cell_width_ = 1, cell_height_ = 1, bottom_ = 0;
  std::array<std::string, 2 * kSteps + 1> cells_;
  std::string dead_, svg_;
};

}  // namespace

std::string draw_load_map(const LoadMap& map) { return MapDrawing(map).draw(); }

}  // namespace moebench
