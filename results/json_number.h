// Numbers in our JSON: what it cannot write is "NaN", "Infinity" and "-Infinity".
#pragma once

#include <cmath>
#include <optional>

#include <nlohmann/json.hpp>

namespace moebench {

inline nlohmann::ordered_json json_number(double value) {
  if (std::isfinite(value)) return value;
  return std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
}

inline nlohmann::ordered_json json_number(std::optional<double> value) {
  return value ? json_number(*value) : nlohmann::ordered_json(nullptr);
}

}  // namespace moebench
