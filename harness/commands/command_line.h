// How this process was called, so that a table says how to make it again.
#pragma once

#include <string>

namespace moebench {

// The arguments as a shell takes them, the program by its plain name: "moebench run sweep.toml --set 'seeds=[0, 1]'".
std::string this_command_line();

}  // namespace moebench
