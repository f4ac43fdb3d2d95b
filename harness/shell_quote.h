// Commands that a reader can copy.
#pragma once

#include <string>

namespace moebench {

// argument in single quotes unless a shell reads it as it is.
std::string shell_quoted(const std::string& argument);

}  // namespace moebench
