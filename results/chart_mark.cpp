#include "results/chart_mark.h"

#include <fmt/format.h>

#include "results/markup.h"

namespace moebench {

std::string draw_mark(size_t style, double x, double y, double r, bool is_hollow) {
  const std::string css = is_hollow ? "mark hollow" : "mark";
  const auto path = [&](const std::string& d) { return fmt::format("<path class=\"{}\" d=\"{}\"/>", css, d); };
  const auto c = coordinate;
  switch (style % 5) {
    case 0:
      return fmt::format("<circle class=\"{}\" cx=\"{}\" cy=\"{}\" r=\"{}\"/>", css, c(x), c(y), c(r));
    case 1:
      return path(fmt::format("M{} {}h{}v{}h-{}z", c(x - r * .9), c(y - r * .9), c(r * 1.8), c(r * 1.8), c(r * 1.8)));
    case 2:
      return path(fmt::format("M{} {}l{} {} {} {} -{} {}z", c(x), c(y - r * 1.3), c(r * 1.3), c(r * 1.3), c(-r * 1.3),
                              c(r * 1.3), c(r * 1.3), c(-r * 1.3)));
    case 3:
      return path(fmt::format("M{} {}l{} {}h-{}z", c(x), c(y - r * 1.2), c(r * 1.2), c(r * 2.1), c(r * 2.4)));
    default:
      return path(fmt::format("M{} {}l-{} -{}h{}z", c(x), c(y + r * 1.2), c(r * 1.2), c(r * 2.1), c(r * 2.4)));
  }
}

}  // namespace moebench
