#include "harness/text/byte_alphabet.h"

#include <array>
#include <cstdint>

#include "harness/text/unicode.h"

namespace moebench {
namespace {

constexpr char32_t kCharacters = 256 + 68;

struct Alphabet {
  std::array<std::string, 256> spelling;
  std::array<int16_t, kCharacters> byte;  // -1: no byte's character

  Alphabet() {
    byte.fill(-1);
    char32_t next = 256;
    for (int value = 0; value < 256; ++value) {
      const bool prints = (value >= 33 && value <= 126) || (value >= 161 && value <= 172) || value >= 174;
      const char32_t character = prints ? static_cast<char32_t>(value) : next++;
      append_character(spelling[static_cast<size_t>(value)], character);
      byte[character] = static_cast<int16_t>(value);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet alphabet;
  return alphabet;
}

}  // namespace

const std::string& spell_byte(unsigned char byte) { return alphabet().spelling[byte]; }

std::string spell_bytes(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes) text += spell_byte(static_cast<unsigned char>(byte));
  return text;
}

std::optional<std::string> spelled_bytes(std::string_view text) {
  std::string bytes;
  for (size_t offset = 0; offset < text.size(); offset += character_length(text[offset])) {
    const char32_t character = first_character(text.substr(offset));
    if (character >= kCharacters || alphabet().byte[character] < 0) return std::nullopt;
    bytes += static_cast<char>(alphabet().byte[character]);
  }
  return bytes;
}

}  // namespace moebench
