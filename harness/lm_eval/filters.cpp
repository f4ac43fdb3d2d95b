#include "harness/lm_eval/filters.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "harness/lm_eval/python_regex.h"
#include "harness/lm_eval/python_string.h"

namespace moebench {
namespace {

using nlohmann::ordered_json;

// lm-eval's RegexFilter: of all matches the one at group_select (negative: from the end), of its groups the first that
// is not empty.
struct RegexExtraction {
  PythonRegex pattern;
  int64_t group_select;
  std::string fallback;

  std::string operator()(const std::string& text) const {
    const std::vector<std::vector<std::string>> matches = pattern.find_all(text);
    if (matches.empty()) return fallback;
    const auto count = static_cast<int64_t>(matches.size());
    const int64_t place = group_select < 0 ? group_select + count : group_select;
    if (place < 0 || place >= count) {
      throw std::invalid_argument("filter regex: group_select " + std::to_string(group_select) + " of " +
                                  std::to_string(count) + " matches; use 0 (first) or -1 (last)");
    }
    const std::vector<std::string>& groups = matches[static_cast<size_t>(place)];
    if (groups.size() == 1) return std::string(strip(groups[0]));
    const auto filled = std::find_if(groups.begin(), groups.end(), [](const auto& group) { return !group.empty(); });
    return filled == groups.end() ? fallback : std::string(strip(*filled));
  }
};

void check_settings(const std::string& filter, const ordered_json& step, bool is_regex) {
  for (const auto& [key, value] : step.items()) {
    const bool of_regex = key == "regex_pattern" || key == "group_select" || key == "fallback";
    if (key == "function" || (is_regex && of_regex)) continue;
    throw std::invalid_argument("filter '" + filter + "': " + step.at("function").get<std::string>() +
                                " has no setting '" + key + "'");
  }
}

std::function<std::string(const std::string&)> filter_step(const std::string& filter, const ordered_json& step) {
  const std::string function = step.at("function").get<std::string>();
  if (function != "regex" && function != "remove_whitespace" && function != "lowercase") {
    throw std::invalid_argument(
        "filter '" + filter + "': function '" + function +
        "' is not supported here; use regex, remove_whitespace, lowercase or a last take_first");
  }
  check_settings(filter, step, function == "regex");
  if (function == "remove_whitespace") return [](const std::string& text) { return std::string(strip(text)); };
  if (function == "lowercase") return [](const std::string& text) { return lower(text); };
  return RegexExtraction{PythonRegex(step.value("regex_pattern", R"(#### (\-?[0-9\.\,]+))")),
                         step.value("group_select", int64_t{0}), step.value("fallback", "[invalid]")};
}

ResponseFilter response_filter(const ordered_json& entry) {
  ResponseFilter filter{.name = entry.at("name").get<std::string>(), .steps = {}};
  const ordered_json& steps = entry.at("filter");
  if (steps.empty() || steps.back().at("function") != "take_first") {
    throw std::invalid_argument("filter '" + filter.name + "': its last function must be take_first");
  }
  for (size_t index = 0; index + 1 < steps.size(); ++index) {
    filter.steps.push_back(filter_step(filter.name, steps[index]));
  }
  return filter;
}

}  // namespace

std::string ResponseFilter::apply(std::string text) const {
  for (const auto& step : steps) text = step(text);
  return text;
}

std::vector<ResponseFilter> response_filters(const ordered_json& filter_list) {
  std::vector<ResponseFilter> filters;
  if (filter_list.is_null()) return {ResponseFilter{.name = "none", .steps = {}}};
  try {
    for (const ordered_json& entry : filter_list) filters.push_back(response_filter(entry));
  } catch (const ordered_json::exception& error) {
    throw std::invalid_argument(std::string("filter_list: ") + error.what());
  }
  return filters;
}

}  // namespace moebench
