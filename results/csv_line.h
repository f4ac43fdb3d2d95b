// Lines of CSV (RFC 4180) and the numbers in them.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace moebench {

// The shortest text that reads back as the same number; "nan", "inf", "-inf".
std::string exact(double value);
std::string exact(std::optional<double> value);  // "" where there is none

// With its line end; text from a database is made UTF-8 on one line.
std::string csv_line(const std::vector<std::string>& fields);

}  // namespace moebench
