#include "harness/lm_eval/python_json.h"

#include <array>
#include <charconv>
#include <cmath>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "harness/checkpoint/utf8.h"
#include "harness/content_hash.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

class PythonJsonWriter {
 public:
  explicit PythonJsonWriter(const PythonJsonStyle& style) : style_(style) {}

  void write(const nlohmann::ordered_json& value, int depth) {
    constexpr int kDeepest = 900;  // CPython gives up near a thousand
    if (depth > kDeepest) throw std::invalid_argument("JSON: nested more than 900 levels deep");
    if (value.is_object()) {
      write_object(value, depth);
    } else if (value.is_array()) {
      write_array(value, depth);
    } else if (value.is_string()) {
      write_string(value.get_ref<const std::string&>());
    } else if (value.is_number_float()) {
      write_float(value.get<double>());
    } else {  // null, booleans and integers are spelt alike
      text += value.dump();
    }
  }

  std::string text;

 private:
  void write_object(const nlohmann::ordered_json& object, int depth) {
    text += '{';
    for (auto item = object.begin(); item != object.end(); ++item) {
      start_item(item == object.begin(), depth + 1);
      write_string(item.key());
      text += ": ";
      write(item.value(), depth + 1);
    }
    end_items(object.empty(), depth);
    text += '}';
  }

  void write_array(const nlohmann::ordered_json& array, int depth) {
    text += '[';
    for (auto item = array.begin(); item != array.end(); ++item) {
      start_item(item == array.begin(), depth + 1);
      write(*item, depth + 1);
    }
    end_items(array.empty(), depth);
    text += ']';
  }

  void start_item(bool is_first, int depth) {
    const bool one_line = style_.indent < 0;
    if (!is_first) text += one_line ? ", " : ",";
    if (!one_line) start_line(depth);
  }

  void end_items(bool none, int depth) {
    if (style_.indent >= 0 && !none) start_line(depth);
  }

  void start_line(int depth) {
    text += '\n';
    text.append(static_cast<size_t>(style_.indent) * static_cast<size_t>(depth), ' ');
  }

  void write_float(double value) {
    if (std::isnan(value)) {
      text += "NaN";
    } else if (std::isinf(value)) {
      text += value < 0 ? "-Infinity" : "Infinity";
    } else {
      text += python_repr(value);
    }
  }

  void write_string(std::string_view string) {
    const size_t invalid = find_invalid_utf8(string);
    if (invalid != std::string_view::npos) {
      throw std::invalid_argument("JSON: a string is not UTF-8 at its byte " + std::to_string(invalid));
    }
    text += '"';
    while (!string.empty()) {
      const size_t length = character_length(string[0]);
      write_character(string.substr(0, length));
      string.remove_prefix(length);
    }
    text += '"';
  }

  void write_character(std::string_view bytes) {
    constexpr std::string_view kShort = "\"\"\\\\\nn\rr\tt\ff\bb";  // a character and the letter after its backslash
    for (size_t pair = 0; pair < kShort.size(); pair += 2) {
      if (bytes[0] != kShort[pair]) continue;
      text += '\\';
      text += kShort[pair + 1];
      return;
    }
    const char32_t character = first_character(bytes);
    if (character >= 0x20 && (!style_.ensure_ascii || character < 0x7F)) {
      text += bytes;
    } else if (character < 0x10000) {
      write_escape(character);
    } else {
      write_escape(0xD800 + ((character - 0x10000) >> 10));
      write_escape(0xDC00 + ((character - 0x10000) & 0x3FF));
    }
  }

  void write_escape(char32_t unit) {
    constexpr std::string_view kHex = "0123456789abcdef";
    text += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) text += kHex[unit >> shift & 15];
  }

  const PythonJsonStyle style_;
};

}  // namespace

std::string python_json(const nlohmann::ordered_json& value, const PythonJsonStyle& style) {
  PythonJsonWriter writer(style);
  writer.write(value, 0);
  return std::move(writer.text);
}

std::string python_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const double magnitude = std::abs(value);
  const bool scientific = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
  std::array<char, 32> buffer;
  const auto format = scientific ? std::chars_format::scientific : std::chars_format::fixed;
  const auto result = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format);
  std::string text(buffer.data(), result.ptr);
  if (!scientific && text.find('.') == std::string::npos) text += ".0";
  return text;
}

std::string document_hash(const nlohmann::ordered_json& document) {
  return content_hash(std::string_view(python_json(document, {.ensure_ascii = false, .indent = 2})));
}

}  // namespace moebench
