// Names and texts that all renderers write alike.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "results/table.h"

namespace moebench {

const char* status_name(CellStatus status);       // value, failed, not_run, not_applicable
const char* rank_name(Rank rank);                 // best, second, ""
const char* kind_name(RowKind kind);              // dense, control, bound, method
const char* direction_name(Direction direction);  // lower, higher, neither

// Text from a database, whatever is in it, as UTF-8 on one line: bytes that are none become U+FFFD, control
// characters (a terminal would obey them) spaces.
std::string one_line(std::string_view text);

std::string join(const std::vector<std::string>& texts, const std::string& separator);
std::string join(const std::vector<int64_t>& numbers, const std::string& separator);

}  // namespace moebench
