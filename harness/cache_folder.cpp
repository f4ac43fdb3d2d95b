#include "harness/cache_folder.h"

#include <cstdlib>

namespace moebench {

std::filesystem::path folder_from_environment(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

std::filesystem::path cache_folder() {
  using std::filesystem::path;
  if (const path cache = folder_from_environment("MOEBENCH_CACHE"); !cache.empty()) return cache;
  if (const path caches = folder_from_environment("XDG_CACHE_HOME"); !caches.empty()) return caches / "moebench";
  return folder_from_environment("HOME") / ".cache" / "moebench";
}

}  // namespace moebench
