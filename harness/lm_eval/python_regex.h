// Patterns of Python's re module, by PCRE2: lm-eval's filters and metrics are written in them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace moebench {

class PythonRegex {
 public:
  // Throws std::invalid_argument with the pattern if it does not compile or means another thing to PCRE2.
  explicit PythonRegex(const std::string& pattern);

  // re.findall: for every match its groups, or the match alone where the pattern has none; a group that took no part is
  // empty. text is UTF-8. Throws std::runtime_error if the pattern takes too many steps on this text.
  std::vector<std::vector<std::string>> find_all(std::string_view text) const;
  std::string remove_all(std::string_view text) const;  // re.sub(pattern, "", text)
  size_t count_matches(std::string_view text) const;    // len(re.findall(pattern, text))

 private:
  std::string pattern_;
  std::shared_ptr<const void> code_;
};

}  // namespace moebench
