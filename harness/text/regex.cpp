#define PCRE2_CODE_UNIT_WIDTH 8
#include "harness/text/regex.h"

#include <stdexcept>

#include <pcre2.h>

#include "harness/checkpoint/utf8.h"
#include "harness/text/pcre2_pattern.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

[[noreturn]] void refuse(const std::string& pattern, size_t offset, const std::string& construct) {
  throw std::runtime_error("pattern '" + pattern + "': '" + construct + "' at byte " + std::to_string(offset) +
                           " is not supported (Oniguruma and PCRE2 disagree on it)");
}

// What begins at the '{' and Ruby reads otherwise: {n,m}+ repeats the repetition and is not possessive, {n}? makes it
// optional and not lazy, {,m} counts from 0 and is no text. "" if nothing does.
std::string foreign_repetition(const std::string& pattern, size_t index) {
  const size_t end = pattern.find_first_not_of("0123456789,", index + 1);
  if (end == std::string::npos || pattern[end] != '}' || end == index + 1) return "";
  const std::string repetition = pattern.substr(index, end + 2 - index);
  const bool is_range = repetition.find(',') != std::string::npos;
  const bool foreign = repetition[1] == ',' || repetition.ends_with('+') || (repetition.ends_with('?') && !is_range);
  return foreign ? repetition : "";
}

// In Ruby syntax \h is a hexadecimal digit, (?m) lets . match a newline, && in a class is an intersection and a class
// in a class a union; Oniguruma's \w has marks and no fractions; its \s lacks U+180E, which PCRE2's has.
std::string translate(const std::string& pattern) {
  std::string translated;
  bool in_class = false;
  size_t class_begin = 0;  // a ] there is text
  for (size_t index = 0; index < pattern.size(); ++index) {
    const std::string two = pattern.substr(index, 2);
    if (pattern[index] == '\\') {
      if (std::string_view("hHwWbB").find(two.back()) != std::string_view::npos) refuse(pattern, index, two);
      translated += two == "\\s" ? "\\p{White_Space}" : two == "\\S" ? "\\P{White_Space}" : two;
      ++index;
      if (two == "\\x" && pattern[index + 1] == '{') translated += pattern[++index];  // of a code, not of a repetition
      continue;
    }
    const bool multiline = two == "(?" && pattern.find('m', index) < pattern.find_first_of(":)<=!", index);
    if (in_class ? two == "&&" || pattern[index] == '[' : multiline) refuse(pattern, index, two);
    if (!in_class && pattern[index] == '{') {
      const std::string foreign = foreign_repetition(pattern, index);
      if (!foreign.empty()) refuse(pattern, index, foreign);
    }
    if (pattern[index] == '[') {
      in_class = true;
      class_begin = index + (two == "[^" ? 2 : 1);
    }
    if (pattern[index] == ']' && index != class_begin) in_class = false;
    translated += pattern[index];
  }
  return translated;
}

}  // namespace

Regex::Regex(const std::string& pattern) {
  require_utf8(pattern, "pattern");
  const std::string translated = translate(pattern);
  try {
    code_ = compile_pcre2(translated, PCRE2_MULTILINE);  // Ruby's ^ and $ always match at line ends
  } catch (const std::invalid_argument& error) {
    throw std::runtime_error("pattern '" + translated + "': " + error.what());
  }
}

Regex Regex::literal(std::string_view text) {
  std::string pattern;
  for (const char byte : text) {
    if (std::string_view("\\^$.[|()?*+{-]}#&").find(byte) != std::string_view::npos) pattern += '\\';
    pattern += byte;
  }
  return Regex(pattern);
}

struct RegexSearch::State {
  std::shared_ptr<const void> owner;
  const pcre2_code* code;
  pcre2_match_data* match;
  const size_t* offsets;
  std::string_view text;
  size_t from = 0;
  size_t last_end = std::string_view::npos;
};

RegexSearch::RegexSearch(const Regex& regex) : state_(std::make_unique<State>()) {
  state_->owner = regex.code_;
  state_->code = static_cast<const pcre2_code*>(regex.code_.get());
  state_->match = pcre2_match_data_create(1, nullptr);
  if (state_->match == nullptr) throw std::bad_alloc();
  state_->offsets = pcre2_get_ovector_pointer(state_->match);
}

RegexSearch::~RegexSearch() { pcre2_match_data_free(state_->match); }

void RegexSearch::start_on(std::string_view text) {
  state_->text = text;
  state_->from = 0;
  state_->last_end = std::string_view::npos;
}

bool RegexSearch::next() {
  State& state = *state_;
  while (state.from <= state.text.size()) {
    const int found = pcre2_match(state.code, reinterpret_cast<PCRE2_SPTR>(state.text.data()), state.text.size(),
                                  state.from, PCRE2_NO_UTF_CHECK, state.match, nullptr);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      throw std::runtime_error("a pre-tokenizer pattern gave up on this text: " + pcre2_message(found));
    }
    if (begin() != end() || end() != state.last_end) {
      state.from = state.last_end = end();
      return true;
    }
    state.from += state.from < state.text.size() ? character_length(state.text[state.from]) : 1;
  }
  state.from = state.text.size() + 1;
  return false;
}

size_t RegexSearch::begin() const { return state_->offsets[0]; }
size_t RegexSearch::end() const { return state_->offsets[1]; }

}  // namespace moebench
