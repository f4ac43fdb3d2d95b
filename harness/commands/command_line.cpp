#include "harness/commands/command_line.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>

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

std::string this_command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string text;
  for (std::string argument; std::getline(file, argument, '\0');) {
    text += text.empty() ? std::filesystem::path(argument).filename().string() : " " + shell_quoted(argument);
  }
  return text;
}

}  // namespace moebench
