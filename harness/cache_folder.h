// Where scripts/fetch puts what it fetches: $MOEBENCH_CACHE, else ${XDG_CACHE_HOME:-~/.cache}/moebench. An unset or
// empty variable is no folder.
#pragma once

#include <filesystem>

namespace moebench {

std::filesystem::path cache_folder();

// The folder that an environment variable names; empty if it is unset.
std::filesystem::path folder_from_environment(const char* variable);

}  // namespace moebench
