#include "harness/lm_eval/jinja_value.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string_view>

#include "harness/lm_eval/python_json.h"
#include "harness/lm_eval/python_string.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

constexpr const char* kOverflow = "a number does not fit 64 bits";

// repr(value).
std::string python_repr_of(const JinjaValue& value) {
  if (value.is_string()) return python_repr(value.get_ref<const std::string&>());
  if (!value.is_structured()) return python_str(value);
  std::string text(1, value.is_array() ? '[' : '{');
  for (auto item = value.begin(); item != value.end(); ++item) {
    if (item != value.begin()) text += ", ";
    if (value.is_object()) text += python_repr(item.key()) + ": ";
    text += python_repr_of(*item);
    if (text.size() > kMaxJinjaBytes) throw std::runtime_error("a text grows beyond 16 MiB");
  }
  return text += value.is_array() ? ']' : '}';
}

bool is_number(const JinjaValue& value) { return value.is_number() || value.is_boolean(); }

int64_t as_integer(const JinjaValue& value) { return value.is_boolean() ? value.get<bool>() : value.get<int64_t>(); }

double as_double(const JinjaValue& value) {
  return value.is_number_float() ? value.get<double>() : static_cast<double>(as_integer(value));
}

[[noreturn]] void refuse(const std::string& name, const JinjaValue& left, const JinjaValue& right) {
  throw std::runtime_error("'" + name + "' does not go between " + python_type(left) + " and " + python_type(right));
}

// -1, 0 or 1.
int order(const std::string& name, const JinjaValue& left, const JinjaValue& right) {
  if (is_number(left) && is_number(right)) {
    const double one = as_double(left), other = as_double(right);
    return (one > other) - (one < other);
  }
  if (!left.is_string() || !right.is_string()) refuse(name, left, right);
  return left.get_ref<const std::string&>().compare(right.get_ref<const std::string&>());
}

bool is_equal(const JinjaValue& left, const JinjaValue& right) {
  return is_number(left) && is_number(right) ? as_double(left) == as_double(right) : left == right;
}

bool contains(const JinjaValue& part, const JinjaValue& whole) {
  if (whole.is_array()) {
    return std::any_of(whole.begin(), whole.end(), [&](const JinjaValue& item) { return is_equal(item, part); });
  }
  if (!part.is_string() || !(whole.is_string() || whole.is_object())) refuse("in", part, whole);
  const auto& text = part.get_ref<const std::string&>();
  return whole.is_object() ? whole.contains(text) : whole.get_ref<const std::string&>().find(text) != std::string::npos;
}

JinjaValue added(const JinjaValue& left, const JinjaValue& right) {
  if (left.is_string() && right.is_string()) {
    return left.get_ref<const std::string&>() + right.get_ref<const std::string&>();
  }
  if (!left.is_array() || !right.is_array()) refuse("+", left, right);
  JinjaValue joined = left;
  joined.insert(joined.end(), right.begin(), right.end());
  return joined;
}

JinjaValue float_operation(const std::string& name, double left, double right) {
  if (name == "+") return left + right;
  if (name == "-") return left - right;
  if (name == "*") return left * right;
  if (right == 0) throw std::runtime_error("division by zero");
  if (name == "/") return left / right;
  if (name == "//") return std::floor(left / right);
  const double remainder = std::fmod(left, right);  // with the sign of the divisor, as Python's
  return remainder != 0 && (remainder < 0) != (right < 0) ? remainder + right : remainder;
}

JinjaValue integer_operation(const std::string& name, int64_t left, int64_t right) {
  int64_t result = 0;
  bool overflows = false;
  if (name == "+") {
    overflows = __builtin_add_overflow(left, right, &result);
  } else if (name == "-") {
    overflows = __builtin_sub_overflow(left, right, &result);
  } else if (name == "*") {
    overflows = __builtin_mul_overflow(left, right, &result);
  } else if (right == 0) {
    throw std::runtime_error("division by zero");
  } else if (right == -1) {
    overflows = name == "//" && __builtin_sub_overflow(int64_t{0}, left, &result);
  } else {  // towards minus infinity, as Python's
    const bool is_inexact = left % right != 0 && (left < 0) != (right < 0);
    result = name == "//" ? left / right - is_inexact : left % right + (is_inexact ? right : 0);
  }
  if (overflows) throw std::runtime_error(kOverflow);
  return result;
}

JinjaValue arithmetic(const std::string& name, const JinjaValue& left, const JinjaValue& right) {
  if (!is_number(left) || !is_number(right)) {
    if (name == "+") return added(left, right);
    refuse(name, left, right);
  }
  const bool in_floats = left.is_number_float() || right.is_number_float() || name == "/";
  return in_floats ? float_operation(name, as_double(left), as_double(right))
                   : integer_operation(name, as_integer(left), as_integer(right));
}

JinjaValue characters_of(const std::string& text) {
  JinjaValue characters = JinjaValue::array();
  for (size_t offset = 0; offset < text.size();) {
    const size_t length = character_length(text[offset]);
    characters.push_back(text.substr(offset, length));
    offset += length;
  }
  return characters;
}

}  // namespace

std::string python_str(const JinjaValue& value) {
  switch (value.type()) {
    case JinjaValue::value_t::string:
      return value.get<std::string>();
    case JinjaValue::value_t::null:
      return "None";
    case JinjaValue::value_t::boolean:
      return value.get<bool>() ? "True" : "False";
    case JinjaValue::value_t::number_float:
      return python_repr(value.get<double>());
    case JinjaValue::value_t::array:
    case JinjaValue::value_t::object:
      return python_repr_of(value);
    default:
      return value.dump();
  }
}

bool is_true(const JinjaValue& value) {
  if (value.is_null()) return false;
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return is_number(value) ? as_double(value) != 0 : !value.empty();
}

int64_t python_length(const JinjaValue& value) {
  if (value.is_string()) return static_cast<int64_t>(count_characters(value.get_ref<const std::string&>()));
  if (!value.is_structured()) throw std::runtime_error(std::string(python_type(value)) + " has no length");
  return static_cast<int64_t>(value.size());
}

const char* python_type(const JinjaValue& value) {
  return value.is_null()           ? "None"
         : value.is_string()       ? "a string"
         : value.is_boolean()      ? "a truth value"
         : value.is_number_float() ? "a float"
         : value.is_number()       ? "an integer"
         : value.is_array()        ? "a list"
                                   : "a dict";
}

JinjaValue binary_operation(const std::string& name, const JinjaValue& left, const JinjaValue& right) {
  if (name == "==") return is_equal(left, right);
  if (name == "!=") return !is_equal(left, right);
  if (name == "<") return order(name, left, right) < 0;
  if (name == "<=") return order(name, left, right) <= 0;
  if (name == ">") return order(name, left, right) > 0;
  if (name == ">=") return order(name, left, right) >= 0;
  if (name == "in") return contains(left, right);
  if (name == "~") return python_str(left) + python_str(right);
  return arithmetic(name, left, right);
}

JinjaValue item_of(const JinjaValue& object, const JinjaValue& index) {
  if (object.is_object()) {
    const auto found = index.is_string() ? object.find(index.get<std::string>()) : object.end();
    if (found == object.end()) throw std::runtime_error("the dict has no " + python_repr_of(index));
    return *found;
  }
  if (!object.is_array() && !object.is_string()) {
    throw std::runtime_error(std::string(python_type(object)) + " has no items");
  }
  if (!index.is_number_integer()) throw std::runtime_error(std::string(python_type(index)) + " is no index");
  const int64_t size = python_length(object), asked = index.get<int64_t>();
  const int64_t place = asked < 0 ? asked + size : asked;
  if (place < 0 || place >= size) {
    throw std::runtime_error("index " + std::to_string(asked) + " is out of range: there are " + std::to_string(size));
  }
  return object.is_array() ? object[static_cast<size_t>(place)]
                           : characters_of(object.get<std::string>())[static_cast<size_t>(place)];
}

JinjaValue slice_of(const JinjaValue& object, const JinjaValue& start, const JinjaValue& stop, const JinjaValue& step) {
  if (!object.is_array() && !object.is_string()) {
    throw std::runtime_error(std::string(python_type(object)) + " cannot be sliced");
  }
  const JinjaValue items = iterated(object);
  const auto size = static_cast<int64_t>(items.size());
  const auto bound = [&](const JinjaValue& value, int64_t if_left_out, int64_t low, int64_t high) {
    if (value.is_null()) return if_left_out;
    if (!value.is_number_integer()) throw std::runtime_error(std::string(python_type(value)) + " is no index");
    const auto asked = value.get<int64_t>();
    return std::clamp(asked < 0 ? asked + size : asked, low, high);
  };
  const int64_t stride = step.is_null() ? 1 : bound(step, 1, -size - 1, size + 1);
  if (step.is_number() && step.get<int64_t>() < 1) throw std::runtime_error("a slice's step must be at least 1");
  JinjaValue slice = JinjaValue::array();
  const int64_t end = bound(stop, size, 0, size);
  for (int64_t index = bound(start, 0, 0, size); index < end; index += stride) {
    slice.push_back(items[static_cast<size_t>(index)]);
  }
  if (object.is_array()) return slice;
  std::string text;
  for (const JinjaValue& character : slice) text += character.get_ref<const std::string&>();
  return text;
}

JinjaValue iterated(const JinjaValue& value) {
  if (value.is_array()) return value;
  if (value.is_string()) return characters_of(value.get<std::string>());
  if (!value.is_object()) throw std::runtime_error(std::string(python_type(value)) + " cannot be gone through");
  JinjaValue keys = JinjaValue::array();
  for (auto item = value.begin(); item != value.end(); ++item) keys.push_back(item.key());
  return keys;
}

}  // namespace moebench
