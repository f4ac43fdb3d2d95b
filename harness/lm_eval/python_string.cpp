#include "harness/lm_eval/python_string.h"

#include <algorithm>

#include <fmt/format.h>
#include <utf8proc.h>

#include "harness/text/unicode.h"

namespace moebench {
namespace {

template <class Drops>
std::string_view left_strip_if(std::string_view text, Drops drops) {
  while (!text.empty() && drops(first_character(text))) text.remove_prefix(character_length(text[0]));
  return text;
}

template <class Drops>
std::string_view right_strip_if(std::string_view text, Drops drops) {
  while (!text.empty() && drops(last_character(text))) {
    size_t start = text.size() - 1;
    while ((text[start] & 0xC0) == 0x80) --start;
    text = text.substr(0, start);
  }
  return text;
}

auto is_one_of(std::string_view characters) {
  return [characters](char32_t character) {
    std::string bytes;
    append_character(bytes, character);
    return characters.find(bytes) != std::string_view::npos;
  };
}

template <class Map>
std::string map_characters(std::string_view text, Map map) {
  std::string mapped;
  mapped.reserve(text.size());
  for (size_t offset = 0; offset < text.size(); offset += character_length(text[offset])) map(mapped, offset);
  return mapped;
}

char32_t simple_lower(char32_t character) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(character)));
}

bool is_cased(char32_t character) {
  const auto code = static_cast<utf8proc_int32_t>(character);
  return utf8proc_tolower(code) != code || utf8proc_toupper(code) != code;
}

// Unicode's Final_Sigma: a letter before it and none behind; what stands between may be marks and apostrophes.
bool is_final_sigma(std::string_view text, size_t offset) {
  const auto is_ignored = [](char32_t character) {
    const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(character));
    return character == '\'' || character == '.' || character == ':' || character == 0x2019 || character == 0xB7 ||
           category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_ME || category == UTF8PROC_CATEGORY_CF ||
           category == UTF8PROC_CATEGORY_LM || category == UTF8PROC_CATEGORY_SK;
  };
  const std::string_view before = right_strip_if(text.substr(0, offset), is_ignored);
  const std::string_view after = left_strip_if(text.substr(offset + 2), is_ignored);
  return !before.empty() && is_cased(last_character(before)) && (after.empty() || !is_cased(first_character(after)));
}

void append_lower(std::string& lowered, std::string_view text, size_t offset) {
  const char32_t character = first_character(text.substr(offset));
  if (character == 0x130) {
    lowered += "i\u0307";
  } else if (character == 0x3A3 && is_final_sigma(text, offset)) {
    lowered += "ς";
  } else {
    append_character(lowered, simple_lower(character));
  }
}

bool is_printable(char32_t character) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(character))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return false;
    case UTF8PROC_CATEGORY_ZS:
      return character == ' ';
    default:
      return true;
  }
}

std::string escaped(char32_t character) {
  if (character == '\n') return "\\n";
  if (character == '\r') return "\\r";
  if (character == '\t') return "\\t";
  const auto code = static_cast<uint32_t>(character);
  return code < 0x100     ? fmt::format("\\x{:02x}", code)
         : code < 0x10000 ? fmt::format("\\u{:04x}", code)
                          : fmt::format("\\U{:08x}", code);
}

}  // namespace

std::string_view left_strip(std::string_view text) { return left_strip_if(text, is_python_space); }
std::string_view right_strip(std::string_view text) { return right_strip_if(text, is_python_space); }
std::string_view strip(std::string_view text) { return left_strip(right_strip(text)); }

std::string_view left_strip(std::string_view text, std::string_view characters) {
  return left_strip_if(text, is_one_of(characters));
}

std::string_view right_strip(std::string_view text, std::string_view characters) {
  return right_strip_if(text, is_one_of(characters));
}

std::string replace_all(std::string_view text, std::string_view old_part, std::string_view new_part, int64_t count) {
  std::string replaced;
  size_t from = 0;
  for (; count != 0; --count) {
    const size_t found = text.find(old_part, from);
    if (found == std::string_view::npos) break;
    replaced.append(text.substr(from, found - from)).append(new_part);
    from = found + old_part.size();
    if (old_part.empty()) {  // "ab".replace("", "-") is "-a-b-"
      if (from == text.size()) return replaced;
      const size_t length = character_length(text[from]);
      replaced.append(text.substr(from, length));
      from += length;
    }
  }
  return replaced.append(text.substr(from));
}

std::vector<std::string> split(std::string_view text, std::string_view separator) {
  std::vector<std::string> parts;
  while (true) {
    const size_t found = text.find(separator);
    parts.emplace_back(text.substr(0, found));
    if (found == std::string_view::npos) return parts;
    text.remove_prefix(found + separator.size());
  }
}

std::vector<std::string> split_at_spaces(std::string_view text) {
  std::vector<std::string> parts;
  for (text = left_strip(text); !text.empty(); text = left_strip(text)) {
    const std::string_view rest = left_strip_if(text, [](char32_t character) { return !is_python_space(character); });
    parts.emplace_back(text.substr(0, text.size() - rest.size()));
    text = rest;
  }
  return parts;
}

std::string lower(std::string_view text) {
  return map_characters(text, [&](std::string& lowered, size_t offset) { append_lower(lowered, text, offset); });
}

std::string upper(std::string_view text) {
  return map_characters(text, [&](std::string& raised, size_t offset) {
    const char32_t character = first_character(text.substr(offset));
    if (character == 0xDF) {
      raised += "SS";
    } else {
      append_character(raised, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(character))));
    }
  });
}

std::string capitalize(std::string_view text) {
  return map_characters(text, [&](std::string& mapped, size_t offset) {
    const char32_t character = first_character(text);
    if (offset > 0) {
      append_lower(mapped, text, offset);
    } else if (character == 0xDF) {
      mapped += "Ss";
    } else {
      append_character(mapped, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(character))));
    }
  });
}

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char byte) { return byte >= '0' && byte <= '9'; });
}

std::string python_repr(std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  std::string repr(1, quote);
  repr += map_characters(text, [&](std::string& mapped, size_t offset) {
    const char32_t character = first_character(text.substr(offset));
    if (character == '\\' || character == static_cast<unsigned char>(quote)) {
      mapped += '\\';
      append_character(mapped, character);
    } else if (is_printable(character)) {
      append_character(mapped, character);
    } else {
      mapped += escaped(character);
    }
  });
  return repr += quote;
}

}  // namespace moebench
