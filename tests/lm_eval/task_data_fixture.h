// Data folders of tests: $MOEBENCH_DATA for as long as it lives.
#pragma once

#include <cstdlib>
#include <filesystem>

namespace moebench {

inline const std::filesystem::path kSharedData = std::filesystem::path(MOEBENCH_SHARED_DIR) / "data";

class DataFolder {
 public:
  explicit DataFolder(const std::filesystem::path& folder) { setenv("MOEBENCH_DATA", folder.c_str(), 1); }
  ~DataFolder() { unsetenv("MOEBENCH_DATA"); }
  DataFolder(const DataFolder&) = delete;
  DataFolder& operator=(const DataFolder&) = delete;
};

}  // namespace moebench
