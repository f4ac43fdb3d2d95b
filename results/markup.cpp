#include "results/markup.h"

#include <cmath>

#include <fmt/format.h>

#include "results/cell_text.h"

namespace moebench {

std::string escape_markup(std::string_view text) {
  std::string escaped;
  for (const char byte : one_line(text)) {
    switch (byte) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += byte;
    }
  }
  return escaped;
}

std::string coordinate(double value) {
  const double tenths = std::round(value * 10);
  if (!std::isfinite(tenths) || std::abs(tenths) > 1e9) return "0";
  const auto whole = static_cast<int64_t>(tenths);
  if (whole % 10 == 0) return fmt::format("{}", whole / 10);
  return fmt::format("{}{}.{}", whole < 0 ? "-" : "", std::abs(whole) / 10, std::abs(whole) % 10);
}

}  // namespace moebench
