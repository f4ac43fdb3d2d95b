// Numbers as tables show them.
#pragma once

#include <optional>
#include <string>

namespace moebench {

// Four significant digits: 46.21, 1459, 0.04621, 1.737e+05; "NaN", "inf".
std::string format_number(double value);

// "46.21 ± 0.30": the deviation to the value's digits.
std::string format_mean(double value, std::optional<double> standard_deviation);

std::string format_count(double count);    // "134.5 M"
std::string format_bytes(double bytes);    // "3.31 GB", powers of ten
std::string format_percent(double share);  // 0.75 is "75 %", 0.8333 is "83.3 %"

}  // namespace moebench
