#include "harness/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>

#include "harness/error.h"

namespace moebench {
namespace {

TryAgainError cannot_write(const std::filesystem::path& path) {
  return TryAgainError(path.string() + ": cannot be written (" + std::strerror(errno) +
                       "); choose a folder with space and write permission");
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path target)
    : target_(std::move(target)), temporary_(target_.string() + ".partial." + std::to_string(getpid())) {
  descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) throw cannot_write(target_);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw cannot_write(target_);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
}

void AtomicFile::commit() {
  if (fsync(descriptor_) != 0) throw cannot_write(target_);
  if (rename(temporary_.c_str(), target_.c_str()) != 0) throw cannot_write(target_);
  close(descriptor_);
  descriptor_ = -1;
}

}  // namespace moebench
