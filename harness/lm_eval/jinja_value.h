// Python's rules for the values of a template. All throw std::runtime_error without a position.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace moebench {

using JinjaValue = nlohmann::ordered_json;  // an array is a list (and a tuple), an object a dict, null None

inline constexpr size_t kMaxJinjaBytes = size_t{1} << 24;  // of a template's output and of any string on the way

std::string python_str(const JinjaValue& value);  // str(value): what {{ }} prints
bool is_true(const JinjaValue& value);            // bool(value)
int64_t python_length(const JinjaValue& value);   // len(value)
const char* python_type(const JinjaValue& value);

// "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "//", "%", "~".
JinjaValue binary_operation(const std::string& name, const JinjaValue& left, const JinjaValue& right);

JinjaValue item_of(const JinjaValue& object, const JinjaValue& index);  // object[index]; negative from the end
// object[start:stop:step] of a string or list; null: left out.
JinjaValue slice_of(const JinjaValue& object, const JinjaValue& start, const JinjaValue& stop, const JinjaValue& step);

// Strings as lists of their characters, lists as they are, of dicts the keys: what a loop goes through.
JinjaValue iterated(const JinjaValue& value);

}  // namespace moebench
