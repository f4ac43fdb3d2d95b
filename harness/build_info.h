// What this program was built from, for the results' build record and --version.
#pragma once

#include <string>

namespace moebench {

struct BuildInfo {
  std::string version;     // 0.1.0
  std::string git_commit;  // "" where it was not built from a git checkout
  bool dirty = false;      // tracked files differed from that commit
  std::string compiler, flags, torch_version;
};

const BuildInfo& build_info();

std::string version_text();  // "moebench 0.1.0 (commit 1a2b3c4d)"

}  // namespace moebench
