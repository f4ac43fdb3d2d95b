#include "harness/checkpoint/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <stdexcept>

namespace moebench {
namespace {

struct Sequence {
  size_t length;  // of the character, or of the longest prefix that could have become one
  bool valid;
};

// The second byte's range depends on the first: no overlong forms, no surrogates, nothing above U+10FFFF.
Sequence sequence_at(std::string_view bytes, size_t offset) {
  const auto byte = [&](size_t index) { return static_cast<unsigned char>(bytes[index]); };
  const unsigned char first = byte(offset);
  if (first < 0x80) return {1, true};
  if (first < 0xC2 || first > 0xF4) return {1, false};
  const size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  for (size_t index = 1; index < length; ++index) {
    if (offset + index >= bytes.size()) return {index, false};
    unsigned char low = 0x80, high = 0xBF;
    if (index == 1 && first == 0xE0) low = 0xA0;
    if (index == 1 && first == 0xED) high = 0x9F;
    if (index == 1 && first == 0xF0) low = 0x90;
    if (index == 1 && first == 0xF4) high = 0x8F;
    if (byte(offset + index) < low || byte(offset + index) > high) return {index, false};
  }
  return {length, true};
}

// Length of the run of ASCII at offset, eight bytes at a time.
size_t ascii_run(std::string_view bytes, size_t offset) {
  size_t end = offset;
  for (uint64_t word; end + sizeof word <= bytes.size(); end += sizeof word) {
    std::memcpy(&word, bytes.data() + end, sizeof word);
    if (word & 0x8080808080808080u) break;
  }
  return end - offset;
}

}  // namespace

size_t find_invalid_utf8(std::string_view bytes) {
  for (size_t offset = ascii_run(bytes, 0); offset < bytes.size(); offset += ascii_run(bytes, offset)) {
    const Sequence sequence = sequence_at(bytes, offset);
    if (!sequence.valid) return offset;
    offset += sequence.length;
  }
  return std::string_view::npos;
}

void require_utf8(std::string_view bytes, const std::string& subject) {
  const size_t offset = find_invalid_utf8(bytes);
  if (offset == std::string_view::npos) return;
  throw std::runtime_error(subject + ": not UTF-8 at byte " + std::to_string(offset) + "; convert it to UTF-8 first");
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (size_t offset = 0; offset < bytes.size();) {
    const Sequence sequence = sequence_at(bytes, offset);
    text += sequence.valid ? bytes.substr(offset, sequence.length) : std::string_view("\uFFFD");
    offset += sequence.length;
  }
  return text;
}

bool is_printable_name(std::string_view name) {
  const auto is_control = [](char byte) { return static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F; };
  return !name.empty() && std::none_of(name.begin(), name.end(), is_control) &&
         find_invalid_utf8(name) == std::string_view::npos;
}

}  // namespace moebench
