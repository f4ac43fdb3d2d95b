#include "results/csv_line.h"

#include <array>
#include <charconv>
#include <cmath>

#include "results/cell_text.h"

namespace moebench {
namespace {

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) return field;
  std::string result = "\"";
  for (const char byte : field) result += byte == '"' ? std::string("\"\"") : std::string(1, byte);
  return result + '"';
}

}  // namespace

std::string exact(double value) {
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

std::string exact(std::optional<double> value) { return value ? exact(*value) : ""; }

std::string csv_line(const std::vector<std::string>& fields) {
  std::string line;
  for (size_t field = 0; field < fields.size(); ++field)
    line += (field == 0 ? "" : ",") + quoted(one_line(fields[field]));
  return line + "\r\n";
}

}  // namespace moebench
