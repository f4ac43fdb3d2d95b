// Methods of Python's str, character for character: templates and preprocessing are written in their terms. Text is
// UTF-8; positions and lengths count characters.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace moebench {

std::string_view left_strip(std::string_view text);  // of white space
std::string_view right_strip(std::string_view text);
std::string_view strip(std::string_view text);
// Of any of these characters: str.strip(characters).
std::string_view left_strip(std::string_view text, std::string_view characters);
std::string_view right_strip(std::string_view text, std::string_view characters);

// str.replace, of at most count occurrences; negative: of all.
std::string replace_all(std::string_view text, std::string_view old_part, std::string_view new_part,
                        int64_t count = -1);
// str.split(separator); the separator is not empty.
std::vector<std::string> split(std::string_view text, std::string_view separator);
// str.split(): at runs of white space.
std::vector<std::string> split_at_spaces(std::string_view text);

// Full lower-casing. Upper and title case map character by character, except that "ß" has two: ligatures and Greek
// letters with iota, which Python writes out, stay as they are.
std::string lower(std::string_view text);
std::string upper(std::string_view text);
std::string capitalize(std::string_view text);  // the first character in title case, all others lower

bool is_digits(std::string_view text);  // str.isdigit for ASCII

// repr(text): quoted, escaped where it is not printable.
std::string python_repr(std::string_view text);

}  // namespace moebench
