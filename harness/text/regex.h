// Patterns of pre-tokenizers, by PCRE2 with JIT. tokenizer.json is written for Oniguruma (Ruby syntax); what that
// would read otherwise than PCRE2 does is translated or refused.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace moebench {

class Regex {
 public:
  // Throws std::runtime_error with the pattern if it does not compile or means another thing to Oniguruma.
  explicit Regex(const std::string& pattern);
  static Regex literal(std::string_view text);

 private:
  friend class RegexSearch;
  std::shared_ptr<const void> code_;
};

// Walks the matches in text, left to right, without overlap. text must be UTF-8 and outlive the search.
class RegexSearch {
 public:
  explicit RegexSearch(const Regex& regex);
  ~RegexSearch();
  RegexSearch(const RegexSearch&) = delete;
  RegexSearch& operator=(const RegexSearch&) = delete;

  void start_on(std::string_view text);
  // False after the last match. An empty match is skipped right behind the match before it, as Oniguruma's iterator
  // does. Throws std::runtime_error if the pattern takes too many steps on this text.
  bool next();
  size_t begin() const;  // of the match, in bytes
  size_t end() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace moebench
