#include "results/number_format.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace moebench {
namespace {

constexpr int kSignificantDigits = 4;

std::string print(const char* format, int digits, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, digits, value);
  return text.data();
}

std::string not_finite(double value) { return std::isnan(value) ? "NaN" : value > 0 ? "inf" : "-inf"; }

bool is_plain(double value) { return value == 0 || (std::abs(value) >= 1e-4 && std::abs(value) < 1e5); }

// Decimals that give kSignificantDigits; zero needs none.
int decimals_of(double value) {
  if (value == 0) return 0;
  return std::max(0, kSignificantDigits - 1 - static_cast<int>(std::floor(std::log10(std::abs(value)))));
}

std::string scaled(double value, const std::array<const char*, 5>& units, int significant_digits) {
  if (!std::isfinite(value)) return not_finite(value);
  size_t unit = 0;
  while (std::abs(value) >= 1000 && unit + 1 < units.size()) {
    value /= 1000;
    ++unit;
  }
  const std::string number =
      unit == 0
          ? print("%.*f", 0, value)
          : print("%.*f", std::max(0, significant_digits - 1 - static_cast<int>(std::log10(std::abs(value)))), value);
  return units[unit][0] == '\0' ? number : number + " " + units[unit];
}

}  // namespace

std::string format_number(double value) {
  if (!std::isfinite(value)) return not_finite(value);
  return is_plain(value) ? print("%.*f", decimals_of(value), value) : print("%.*e", kSignificantDigits - 1, value);
}

std::string format_mean(double value, std::optional<double> standard_deviation) {
  const std::string mean = format_number(value);
  if (!standard_deviation) return mean;
  if (!is_plain(value)) return mean + " ± " + format_number(*standard_deviation);
  return mean + " ± " + print("%.*f", decimals_of(value), *standard_deviation);
}

std::string format_count(double count) { return scaled(count, {"", "k", "M", "G", "T"}, 4); }

std::string format_bytes(double bytes) { return scaled(bytes, {"B", "kB", "MB", "GB", "TB"}, 3); }

std::string format_percent(double share) {
  const double percent = share * 100;
  if (!std::isfinite(percent)) return not_finite(percent);
  return print("%.*f", std::abs(percent - std::round(percent)) < 0.05 ? 0 : 1, percent) + " %";
}

}  // namespace moebench
