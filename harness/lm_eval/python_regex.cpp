#define PCRE2_CODE_UNIT_WIDTH 8
#include "harness/lm_eval/python_regex.h"

#include <new>
#include <stdexcept>

#include <pcre2.h>

#include "harness/checkpoint/utf8.h"
#include "harness/text/pcre2_pattern.h"

namespace moebench {
namespace {

[[noreturn]] void refuse(const std::string& pattern, const std::string& construct) {
  throw std::invalid_argument("pattern '" + pattern + "': '" + construct +
                              "' is not supported (Python and PCRE2 disagree on it)");
}

// What an escape of Python's is to PCRE2: \s has U+001C to U+001F there, \v is one character, \Z the very end.
std::string translate_escape(const std::string& pattern, const std::string& escape, bool in_class) {
  const std::string space = "\\p{White_Space}\\x1C-\\x1F";
  if (escape == "\\s") return in_class ? space : "[" + space + "]";
  if (escape == "\\S" && !in_class) return "[^" + space + "]";
  if (escape == "\\v") return "\\x0B";
  if (escape == "\\Z" && !in_class) return "\\z";
  const bool alike = std::string_view("abABdDwWfnrtx0123456789").find(escape.back()) != std::string_view::npos;
  const bool is_letter = (escape.back() | 0x20) >= 'a' && (escape.back() | 0x20) <= 'z';
  if (escape.size() < 2 || (is_letter && !alike)) refuse(pattern, escape);
  return escape;
}

std::string translate(const std::string& pattern) {
  std::string translated;
  bool in_class = false;
  size_t class_begin = 0;  // a ] there is text
  for (size_t index = 0; index < pattern.size(); ++index) {
    const std::string two = pattern.substr(index, 2);
    if (two[0] == '\\') {
      translated += translate_escape(pattern, two, in_class);
      ++index;
      continue;
    }
    if (two == "{," || (in_class && two == "[:")) refuse(pattern, two);
    if (in_class && two[0] == ']' && index != class_begin) {
      in_class = false;
    } else if (!in_class && two[0] == '[') {
      in_class = true;
      class_begin = index + (two == "[^" ? 2 : 1);
    }
    translated += two[0];
  }
  return translated;
}

using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;

// Walks the matches left to right. An empty match may follow a match at once, but not an empty one (Python 3.7 on).
template <typename Visit>  // (const size_t* offsets, size_t count): begin and end of the match and of its groups
void for_each_match(const std::shared_ptr<const void>& owner, const std::string& pattern, std::string_view text,
                    const Visit& visit) {
  const auto* code = static_cast<const pcre2_code*>(owner.get());
  const MatchData data(pcre2_match_data_create_from_pattern(code, nullptr), &pcre2_match_data_free);
  if (data == nullptr) throw std::bad_alloc();
  const size_t* offsets = pcre2_get_ovector_pointer(data.get());
  const size_t count = pcre2_get_ovector_count(data.get());
  require_utf8(text, "text for pattern '" + pattern + "'");
  uint32_t options = PCRE2_NO_UTF_CHECK;
  for (size_t from = 0;;) {
    const int found =
        pcre2_match(code, reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), from, options, data.get(), nullptr);
    if (found == PCRE2_ERROR_NOMATCH) return;
    if (found < 0) throw std::runtime_error("pattern '" + pattern + "' gave up on a text: " + pcre2_message(found));
    visit(offsets, count);
    from = offsets[1];
    options = PCRE2_NO_UTF_CHECK | (offsets[0] == offsets[1] ? PCRE2_NOTEMPTY_ATSTART : 0);
  }
}

}  // namespace

PythonRegex::PythonRegex(const std::string& pattern) : pattern_(pattern) {
  if (find_invalid_utf8(pattern) != std::string::npos) throw std::invalid_argument("a pattern is not UTF-8");
  const std::string translated = translate(pattern);
  try {
    code_ = compile_pcre2(translated, 0);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument("pattern '" + pattern + "': " + error.what());
  }
}

std::vector<std::vector<std::string>> PythonRegex::find_all(std::string_view text) const {
  std::vector<std::vector<std::string>> matches;
  for_each_match(code_, pattern_, text, [&](const size_t* offsets, size_t count) {
    std::vector<std::string>& groups = matches.emplace_back();
    for (size_t group = count > 1 ? 1 : 0; group < count; ++group) {
      const size_t begin = offsets[2 * group], end = offsets[2 * group + 1];
      groups.emplace_back(begin == PCRE2_UNSET ? std::string_view() : text.substr(begin, end - begin));
    }
  });
  return matches;
}

std::string PythonRegex::remove_all(std::string_view text) const {
  std::string kept;
  size_t from = 0;
  for_each_match(code_, pattern_, text, [&](const size_t* offsets, size_t) {
    kept += text.substr(from, offsets[0] - from);
    from = offsets[1];
  });
  return kept += text.substr(from);
}

size_t PythonRegex::count_matches(std::string_view text) const {
  size_t matches = 0;
  for_each_match(code_, pattern_, text, [&](const size_t*, size_t) { ++matches; });
  return matches;
}

}  // namespace moebench
