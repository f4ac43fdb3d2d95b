#include "harness/commands/command_line.h"

#include <filesystem>
#include <fstream>

#include "harness/shell_quote.h"

namespace moebench {

std::string this_command_line() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::string text;
  for (std::string argument; std::getline(file, argument, '\0');) {
    text += text.empty() ? std::filesystem::path(argument).filename().string() : " " + shell_quoted(argument);
  }
  return text;
}

}  // namespace moebench
