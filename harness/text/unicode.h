// Characters of UTF-8 and the few Unicode properties that tokenizers ask about.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace moebench {

// Bytes of the character whose first byte this is. For valid UTF-8 only, as the rest of this file: see
// harness/checkpoint/utf8.h.
inline size_t character_length(char first_byte) {
  const auto byte = static_cast<unsigned char>(first_byte);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
char32_t first_character(std::string_view text);  // text is not empty
char32_t last_character(std::string_view text);
void append_character(std::string& text, char32_t character);
size_t count_characters(std::string_view text);

bool is_whitespace(char32_t character);      // property White_Space
bool is_python_space(char32_t character);    // str.isspace of Python: White_Space and U+001C to U+001F
bool is_word_character(char32_t character);  // \w of UTS #18: alphabetic, mark, decimal, connector, joiner

// Normalisation form C.
std::string to_nfc(std::string_view text);

}  // namespace moebench
