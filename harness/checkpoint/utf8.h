// Texts in untrusted files end up in messages and in JSON.
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

// Valid UTF-8, not empty, without control characters.
bool is_printable_name(std::string_view name);

}  // namespace moebench
