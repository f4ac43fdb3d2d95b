// --set name=value on the command line.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace moebench {

// {"name": value, ...}. A value that is JSON is that (10, 0.5, true, "text"), anything else is a text.
// Throws std::invalid_argument if one is not name=value, or a name comes twice.
nlohmann::json parse_settings(const std::vector<std::string>& settings);

// The same for "group.name=value": {"group": {"name": value}}. Throws std::invalid_argument for a group that is not
// among groups, too.
nlohmann::json parse_grouped_settings(const std::vector<std::string>& settings, const std::string& kind,
                                      const std::vector<std::string>& groups);

}  // namespace moebench
