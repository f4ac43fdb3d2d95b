// Methods, filters and tests by name. All throw std::runtime_error without a position.
#pragma once

#include <string>
#include <vector>

#include "harness/lm_eval/jinja_value.h"

namespace moebench {

// Python's str, list and dict methods: strip lstrip rstrip lower upper capitalize replace split join startswith
// endswith find index count get keys values.
JinjaValue call_method(const std::string& name, const JinjaValue& object, const std::vector<JinjaValue>& arguments);

// Jinja's: trim lower upper capitalize title replace join length count first last int float string abs list reverse.
JinjaValue apply_filter(const std::string& name, const JinjaValue& value, const std::vector<JinjaValue>& arguments);

// none string number integer boolean sequence mapping; "defined" is the evaluation's.
bool apply_test(const std::string& name, const JinjaValue& value);

}  // namespace moebench
