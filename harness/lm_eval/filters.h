// What of a generated text is compared with the target: lm-eval's filters, as a task's filter_list says.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace moebench {

struct ResponseFilter {
  std::string name;  // stands behind the metric: "exact_match,strict-match"
  std::vector<std::function<std::string(const std::string&)>> steps;

  std::string apply(std::string text) const;
};

// filter_list: [{"name", "filter": [{"function", ...}]}]; null: one filter "none" that changes nothing. Functions:
// regex (regex_pattern, group_select, fallback), remove_whitespace, lowercase, and take_first at the end. Throws
// std::invalid_argument naming the filter and what of it is not supported.
std::vector<ResponseFilter> response_filters(const nlohmann::ordered_json& filter_list);

}  // namespace moebench
