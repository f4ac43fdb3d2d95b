#include "harness/shell_quote.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace moebench {

std::string shell_quoted(const std::string& argument) {
  const auto plain = [](unsigned char letter) {
    return std::isalnum(letter) || std::string_view("-_./=:,+@%").find(static_cast<char>(letter)) != std::string::npos;
  };
  if (!argument.empty() && std::all_of(argument.begin(), argument.end(), plain)) return argument;
  std::string quoted = "'";
  for (const char letter : argument) quoted += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  return quoted + "'";
}

}  // namespace moebench
