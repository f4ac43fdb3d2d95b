#include "harness/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "harness/error.h"

namespace moebench {
namespace {

TryAgainError cannot_write(const std::filesystem::path& path) {
  return TryAgainError(path.string() + ": cannot be written (" + std::strerror(errno) +
                       "); choose a folder with space and write permission");
}

// The file that the target means: renaming would replace a link, not what it points at.
std::filesystem::path follow_links(std::filesystem::path target) {
  constexpr int kMostLinks = 40;  // as Linux
  std::error_code unknown;        // is opening's to report
  const std::filesystem::file_status status = std::filesystem::status(target, unknown);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw TryAgainError(target.string() + ": is a folder, a pipe or a device; name a regular file");
  }
  for (int links = 0; std::filesystem::is_symlink(target, unknown); ++links) {
    errno = ELOOP;
    if (links == kMostLinks) throw cannot_write(target);
    target = target.parent_path() / std::filesystem::read_symlink(target, unknown);
  }
  return target;
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path target)
    : target_(follow_links(std::move(target))), temporary_(target_.string() + ".partial." + std::to_string(getpid())) {
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
