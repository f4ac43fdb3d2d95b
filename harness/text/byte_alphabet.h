// GPT-2's spelling of bytes as printable characters: a byte that prints stands for itself, the other 68 are U+0100 on.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace moebench {

// The character of a byte, in UTF-8. The reference stays valid.
const std::string& spell_byte(unsigned char byte);
std::string spell_bytes(std::string_view bytes);

// The bytes that the characters of text stand for; nullopt if one of them is not of the alphabet.
std::optional<std::string> spelled_bytes(std::string_view text);

}  // namespace moebench
