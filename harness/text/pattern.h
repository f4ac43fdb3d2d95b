// {"String": "..."} or {"Regex": "..."}: how tokenizer.json says what to look for.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "harness/text/json_field.h"
#include "harness/text/regex.h"

namespace moebench {

inline Regex pattern_field(const nlohmann::json& object, const std::string& where) {
  const nlohmann::json& pattern = json_field(object, "pattern", where);
  if (pattern.is_object() && pattern.contains("String")) {
    return Regex::literal(string_field(pattern, "String", where + ".pattern"));
  }
  if (pattern.is_object() && pattern.contains("Regex")) {
    return Regex(string_field(pattern, "Regex", where + ".pattern"));
  }
  throw std::runtime_error(where + ": 'pattern' must hold a String or a Regex");
}

// Every match in text replaced by content.
inline std::string replace_all(std::string_view text, RegexSearch& search, std::string_view content) {
  std::string result;
  size_t end = 0;
  search.start_on(text);
  while (search.next()) {
    result.append(text, end, search.begin() - end).append(content);
    end = search.end();
  }
  return result.append(text, end);
}

}  // namespace moebench
