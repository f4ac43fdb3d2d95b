// UTF-8 and the few Unicode properties that tokenizers ask about.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace moebench {

// Offset of the first byte that is not part of valid UTF-8; std::string_view::npos if there is none.
size_t find_invalid_utf8(std::string_view bytes);

// Throws std::runtime_error "<subject>: not UTF-8 at byte <offset>; ..." if there is such a byte.
void require_utf8(std::string_view bytes, const std::string& subject);

// Every maximal invalid sequence becomes U+FFFD, as Rust's from_utf8_lossy and Python's errors="replace" do.
std::string replace_invalid_utf8(std::string_view bytes);

// Bytes of the character whose first byte this is. For valid UTF-8 only, as the rest of this file.
inline size_t character_length(char first_byte) {
  const auto byte = static_cast<unsigned char>(first_byte);
  return byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}
char32_t first_character(std::string_view text);  // text is not empty
char32_t last_character(std::string_view text);
void append_character(std::string& text, char32_t character);
size_t count_characters(std::string_view text);

bool is_whitespace(char32_t character);      // property White_Space
bool is_word_character(char32_t character);  // \w of UTS #18: alphabetic, mark, decimal, connector, joiner

// Normalisation form C.
std::string to_nfc(std::string_view text);

}  // namespace moebench
