#include "harness/build_info.h"

#include "moebench_git_commit.h"

namespace moebench {

const BuildInfo& build_info() {
  static const BuildInfo info = {
      .version = MOEBENCH_VERSION,
      .git_commit = MOEBENCH_GIT_COMMIT,
      .dirty = MOEBENCH_GIT_DIRTY,
      .compiler = MOEBENCH_COMPILER,
      .flags = MOEBENCH_FLAGS,
      .torch_version = MOEBENCH_TORCH_VERSION,
  };
  return info;
}

std::string version_text() {
  const BuildInfo& info = build_info();
  std::string text = "moebench " + info.version;
  if (!info.git_commit.empty())
    text += " (commit " + info.git_commit.substr(0, 12) + (info.dirty ? ", modified)" : ")");
  return text;
}

}  // namespace moebench
