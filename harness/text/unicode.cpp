#include "harness/text/unicode.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include <utf8proc.h>

namespace moebench {
namespace {

constexpr auto kComposeOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);

std::vector<utf8proc_int32_t> decompose(std::string_view text) {
  constexpr size_t kLongest = 4;  // canonical decomposition of one character
  std::vector<utf8proc_int32_t> characters;
  characters.reserve(text.size());
  for (size_t offset = 0; offset < text.size(); offset += character_length(text[offset])) {
    utf8proc_int32_t parts[kLongest];
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(first_character(text.substr(offset))),
                                               parts, kLongest, kComposeOptions, nullptr);
    if (count < 0 || count > static_cast<utf8proc_ssize_t>(kLongest))
      throw std::runtime_error("NFC: a character is too long");
    characters.insert(characters.end(), parts, parts + count);
  }
  return characters;
}

// utf8proc's own ordering is an insertion sort: a long run of marks would take for ever.
void order_marks(std::vector<utf8proc_int32_t>& characters) {
  const auto mark_class = [](utf8proc_int32_t character) { return utf8proc_get_property(character)->combining_class; };
  const auto is_mark = [&](utf8proc_int32_t character) { return mark_class(character) != 0; };
  for (auto begin = characters.begin(); begin != characters.end();) {
    begin = std::find_if(begin, characters.end(), is_mark);
    const auto end = std::find_if_not(begin, characters.end(), is_mark);
    std::stable_sort(begin, end,
                     [&](utf8proc_int32_t one, utf8proc_int32_t other) { return mark_class(one) < mark_class(other); });
    begin = end;
  }
}

}  // namespace

char32_t first_character(std::string_view text) {
  const size_t length = character_length(text[0]);
  char32_t character = static_cast<unsigned char>(text[0]) & (length == 1 ? 0x7F : 0xFF >> (length + 1));
  for (size_t index = 1; index < length; ++index) character = character << 6 | (text[index] & 0x3F);
  return character;
}

char32_t last_character(std::string_view text) {
  size_t start = text.size() - 1;
  while ((text[start] & 0xC0) == 0x80) --start;
  return first_character(text.substr(start));
}

void append_character(std::string& text, char32_t character) {
  utf8proc_uint8_t bytes[4];
  const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(character), bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (const char byte : text) count += (byte & 0xC0) != 0x80;
  return count;
}

bool is_whitespace(char32_t character) {
  return (character >= 0x09 && character <= 0x0D) || character == 0x20 || character == 0x85 || character == 0xA0 ||
         character == 0x1680 || (character >= 0x2000 && character <= 0x200A) || character == 0x2028 ||
         character == 0x2029 || character == 0x202F || character == 0x205F || character == 0x3000;
}

bool is_python_space(char32_t character) {
  return is_whitespace(character) || (character >= 0x1C && character <= 0x1F);
}

bool is_word_character(char32_t character) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(character))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      return character == 0x200C || character == 0x200D || (character >= 0x24B6 && character <= 0x24E9);
  }
}

std::string to_nfc(std::string_view text) {
  // Below U+0300 (in UTF-8, bytes below 0xCC) nothing combines and everything is composed.
  if (std::all_of(text.begin(), text.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0xCC; })) {
    return std::string(text);
  }
  std::vector<utf8proc_int32_t> characters = decompose(text);
  order_marks(characters);
  const auto length =
      utf8proc_normalize_utf32(characters.data(), static_cast<utf8proc_ssize_t>(characters.size()), kComposeOptions);
  if (length < 0) throw std::runtime_error(std::string("normalising to NFC: ") + utf8proc_errmsg(length));
  std::string composed;
  composed.reserve(text.size());
  for (utf8proc_ssize_t index = 0; index < length; ++index) {
    append_character(composed, static_cast<char32_t>(characters[static_cast<size_t>(index)]));
  }
  return composed;
}

}  // namespace moebench
