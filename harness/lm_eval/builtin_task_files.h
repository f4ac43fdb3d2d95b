// tasks/definitions/*.yaml, put into the program when it is built.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace moebench {

// File name → text.
const std::map<std::string, std::string_view>& builtin_task_files();

}  // namespace moebench
