#include "harness/lm_eval/jinja_calls.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <stdexcept>
#include <string_view>

#include "harness/lm_eval/python_string.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

using Arguments = std::vector<JinjaValue>;

// One function of a table: how many arguments it takes, and what it does with a string.
template <class Subject>
struct Call {
  size_t min_arguments, max_arguments;
  std::function<JinjaValue(const Subject&, const Arguments&)> call;
};
template <class Subject>
using Calls = std::map<std::string, Call<Subject>>;

const std::string& text_of(const JinjaValue& value) {
  if (!value.is_string()) throw std::runtime_error(std::string(python_type(value)) + " where a string should be");
  return value.get_ref<const std::string&>();
}

// Throws if the table has no such name or the number of arguments is wrong.
template <class Subject>
JinjaValue call(const Calls<Subject>& calls, const std::string& what, const std::string& name, const Subject& subject,
                const Arguments& arguments) {
  const auto found = calls.find(name);
  if (found == calls.end()) {
    std::string known;
    for (const auto& [other, unused] : calls) known += " " + other;
    throw std::runtime_error(what + " '" + name + "' is not supported; these are:" + known);
  }
  const auto& [min_arguments, max_arguments, function] = found->second;
  if (arguments.size() < min_arguments || arguments.size() > max_arguments) {
    throw std::runtime_error(what + " '" + name + "' does not take " + std::to_string(arguments.size()) + " arguments");
  }
  return function(subject, arguments);
}

int64_t count_of(const std::string& text, const std::string& part) {
  if (part.empty()) return static_cast<int64_t>(count_characters(text)) + 1;
  int64_t count = 0;
  for (size_t found = text.find(part); found != std::string::npos; found = text.find(part, found + part.size())) {
    ++count;
  }
  return count;
}

std::string replaced(const std::string& text, const Arguments& arguments) {
  const std::string &old_part = text_of(arguments[0]), &new_part = text_of(arguments[1]);
  const bool replaces_all = arguments.size() < 3 || arguments[2].is_null();
  if (!replaces_all && !arguments[2].is_number_integer()) throw std::runtime_error("replace: the count is no integer");
  if (count_of(text, old_part) > static_cast<int64_t>(kMaxJinjaBytes / (new_part.size() + 1))) {
    throw std::runtime_error("a text grows beyond 16 MiB");
  }
  return replace_all(text, old_part, new_part, replaces_all ? -1 : arguments[2].get<int64_t>());
}

std::string joined(const std::string& separator, const JinjaValue& list, bool only_strings) {
  std::string text;
  const char* between = "";
  for (const JinjaValue& item : iterated(list)) {
    text += between + (only_strings ? text_of(item) : python_str(item));
    between = separator.c_str();
    if (text.size() > kMaxJinjaBytes) throw std::runtime_error("a text grows beyond 16 MiB");
  }
  return text;
}

JinjaValue found_at(const std::string& text, const std::string& part, bool must_be) {
  const size_t found = text.find(part);
  if (found != std::string::npos) return count_characters(std::string_view(text).substr(0, found));
  if (must_be) throw std::runtime_error("index: " + python_repr(part) + " is not in the string");
  return -1;
}

JinjaValue split_text(const std::string& text, const Arguments& arguments) {
  if (arguments.empty() || arguments[0].is_null()) return split_at_spaces(text);
  if (text_of(arguments[0]).empty()) throw std::runtime_error("split: an empty separator");
  return split(text, text_of(arguments[0]));
}

const Calls<std::string>& string_methods() {
  using Text = const std::string&;
  using Args = const Arguments&;
  static const Calls<std::string> kMethods = {
      {"strip",
       {0, 1,
        [](Text text, Args args) -> JinjaValue {
          return args.empty() ? std::string(strip(text))
                              : std::string(left_strip(right_strip(text, text_of(args[0])), text_of(args[0])));
        }}},
      {"lstrip",
       {0, 1,
        [](Text text, Args args) -> JinjaValue {
          return std::string(args.empty() ? left_strip(text) : left_strip(text, text_of(args[0])));
        }}},
      {"rstrip",
       {0, 1,
        [](Text text, Args args) -> JinjaValue {
          return std::string(args.empty() ? right_strip(text) : right_strip(text, text_of(args[0])));
        }}},
      {"lower", {0, 0, [](Text text, Args) -> JinjaValue { return lower(text); }}},
      {"upper", {0, 0, [](Text text, Args) -> JinjaValue { return upper(text); }}},
      {"capitalize", {0, 0, [](Text text, Args) -> JinjaValue { return capitalize(text); }}},
      {"replace", {2, 3, [](Text text, Args args) -> JinjaValue { return replaced(text, args); }}},
      {"split", {0, 1, split_text}},
      {"join", {1, 1, [](Text text, Args args) -> JinjaValue { return joined(text, args[0], true); }}},
      {"startswith", {1, 1, [](Text text, Args args) -> JinjaValue { return text.starts_with(text_of(args[0])); }}},
      {"endswith", {1, 1, [](Text text, Args args) -> JinjaValue { return text.ends_with(text_of(args[0])); }}},
      {"find", {1, 1, [](Text text, Args args) { return found_at(text, text_of(args[0]), false); }}},
      {"index", {1, 1, [](Text text, Args args) { return found_at(text, text_of(args[0]), true); }}},
      {"count", {1, 1, [](Text text, Args args) -> JinjaValue { return count_of(text, text_of(args[0])); }}},
  };
  return kMethods;
}

const Calls<JinjaValue>& list_methods() {
  using Value = const JinjaValue&;
  using Args = const Arguments&;
  static const auto is_equal = [](Value one, Value other) { return binary_operation("==", one, other).get<bool>(); };
  static const Calls<JinjaValue> kMethods = {
      {"index",
       {1, 1,
        [](Value list, Args args) -> JinjaValue {
          const auto found =
              std::find_if(list.begin(), list.end(), [&](Value item) { return is_equal(item, args[0]); });
          if (found == list.end()) throw std::runtime_error("index: " + python_str(args[0]) + " is not in the list");
          return found - list.begin();
        }}},
      {"count",
       {1, 1,
        [](Value list, Args args) -> JinjaValue {
          return std::count_if(list.begin(), list.end(), [&](Value item) { return is_equal(item, args[0]); });
        }}},
  };
  return kMethods;
}

const Calls<JinjaValue>& dict_methods() {
  using Value = const JinjaValue&;
  using Args = const Arguments&;
  static const Calls<JinjaValue> kMethods = {
      {"get",
       {1, 2,
        [](Value dict, Args args) -> JinjaValue {
          const auto found = dict.find(text_of(args[0]));
          return found != dict.end() ? *found : args.size() > 1 ? args[1] : JinjaValue();
        }}},
      {"keys", {0, 0, [](Value dict, Args) { return iterated(dict); }}},
      {"values",
       {0, 0,
        [](Value dict, Args) {
          JinjaValue values = JinjaValue::array();
          for (const JinjaValue& value : dict) values.push_back(value);
          return values;
        }}},
  };
  return kMethods;
}

// Jinja's own: a letter behind white space, '-', '(', '{', '[' or '<' is a capital.
std::string title(const std::string& text) {
  std::string titled, word;
  const auto end_word = [&] { titled += capitalize(word), word.clear(); };
  for (size_t offset = 0; offset < text.size(); offset += character_length(text[offset])) {
    const char32_t character = first_character(std::string_view(text).substr(offset));
    const bool divides =
        is_python_space(character) || std::u32string_view(U"-({[<").find(character) != std::u32string_view::npos;
    if (divides) end_word();
    append_character(divides ? titled : word, character);
  }
  end_word();
  return titled;
}

JinjaValue to_float(const JinjaValue& value, double if_wrong) {
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>() ? 1.0 : 0.0;
  if (!value.is_string()) return if_wrong;
  const std::string_view text = strip(value.get_ref<const std::string&>());
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  return parsed.ec == std::errc() && parsed.ptr == text.data() + text.size() ? number : if_wrong;
}

// Of what is no number: 0, as Jinja's filter.
JinjaValue to_integer(const JinjaValue& value) {
  if (value.is_number_integer()) return value;
  if (value.is_string()) {
    const std::string_view text = strip(value.get_ref<const std::string&>());
    int64_t number = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
    if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) return number;
  }
  const auto number = to_float(value, 0).get<double>();
  if (!(std::abs(number) < 9e18)) throw std::runtime_error("int: the number does not fit 64 bits");
  return static_cast<int64_t>(number);
}

JinjaValue end_of(const JinjaValue& value, bool last) {
  const JinjaValue items = iterated(value);
  if (items.empty()) throw std::runtime_error(std::string(last ? "last" : "first") + " of nothing is undefined");
  return last ? items.back() : items.front();
}

JinjaValue reversed(const JinjaValue& value) {
  JinjaValue items = iterated(value);
  std::reverse(items.begin(), items.end());
  return value.is_string() ? JinjaValue(joined("", items, true)) : items;
}

JinjaValue absolute(const JinjaValue& value) {
  if (value.is_number_float()) return std::abs(value.get<double>());
  if (!value.is_number()) throw std::runtime_error(std::string("abs of ") + python_type(value));
  return value.get<int64_t>() < 0 ? binary_operation("-", 0, value) : value;
}

const Calls<JinjaValue>& filters() {
  using Value = const JinjaValue&;
  using Args = const Arguments&;
  static const Calls<JinjaValue> kFilters = {
      {"trim", {0, 1, [](Value value, Args args) { return call_method("strip", python_str(value), args); }}},
      {"lower", {0, 0, [](Value value, Args) -> JinjaValue { return lower(python_str(value)); }}},
      {"upper", {0, 0, [](Value value, Args) -> JinjaValue { return upper(python_str(value)); }}},
      {"capitalize", {0, 0, [](Value value, Args) -> JinjaValue { return capitalize(python_str(value)); }}},
      {"title", {0, 0, [](Value value, Args) -> JinjaValue { return title(python_str(value)); }}},
      {"replace", {2, 3, [](Value value, Args args) -> JinjaValue { return replaced(python_str(value), args); }}},
      {"join",
       {0, 1,
        [](Value value, Args args) -> JinjaValue {
          return joined(args.empty() ? "" : python_str(args[0]), value, false);
        }}},
      {"length", {0, 0, [](Value value, Args) -> JinjaValue { return python_length(value); }}},
      {"count", {0, 0, [](Value value, Args) -> JinjaValue { return python_length(value); }}},
      {"first", {0, 0, [](Value value, Args) { return end_of(value, false); }}},
      {"last", {0, 0, [](Value value, Args) { return end_of(value, true); }}},
      {"int", {0, 0, [](Value value, Args) { return to_integer(value); }}},
      {"float", {0, 0, [](Value value, Args) { return to_float(value, 0); }}},
      {"string", {0, 0, [](Value value, Args) -> JinjaValue { return python_str(value); }}},
      {"abs", {0, 0, [](Value value, Args) { return absolute(value); }}},
      {"list", {0, 0, [](Value value, Args) { return iterated(value); }}},
      {"reverse", {0, 0, [](Value value, Args) { return reversed(value); }}},
  };
  return kFilters;
}

}  // namespace

JinjaValue call_method(const std::string& name, const JinjaValue& object, const Arguments& arguments) {
  if (object.is_string()) {
    return call(string_methods(), "string method", name, object.get_ref<const std::string&>(), arguments);
  }
  if (object.is_array()) return call(list_methods(), "list method", name, object, arguments);
  if (object.is_object()) return call(dict_methods(), "dict method", name, object, arguments);
  throw std::runtime_error(std::string(python_type(object)) + " has no method '" + name + "'");
}

JinjaValue apply_filter(const std::string& name, const JinjaValue& value, const Arguments& arguments) {
  return call(filters(), "filter", name, value, arguments);
}

bool apply_test(const std::string& name, const JinjaValue& value) {
  if (name == "none") return value.is_null();
  if (name == "string") return value.is_string();
  if (name == "number") return value.is_number() || value.is_boolean();
  if (name == "integer") return value.is_number_integer();
  if (name == "boolean") return value.is_boolean();
  if (name == "sequence") return value.is_structured() || value.is_string();
  if (name == "mapping") return value.is_object();
  throw std::runtime_error(
      "test '" + name + "' is not supported; defined, none, string, number, integer, boolean, sequence, mapping are");
}

}  // namespace moebench
