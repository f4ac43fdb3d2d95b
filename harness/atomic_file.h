// Writes beside the target, then renames: a reader sees the whole file or none.
#pragma once

#include <filesystem>
#include <string_view>

namespace moebench {

class AtomicFile {
 public:
  // A target that is a symbolic link stays one: the file that it points at is replaced. Throws TryAgainError naming the
  // path if the folder cannot be written (read-only or full disk), or the target is there and no regular file.
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();  // without commit() the target is untouched and the temporary file removed
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);  // throws TryAgainError when the disk is full
  void commit();                       // flushes to disk and renames

 private:
  std::filesystem::path target_, temporary_;
  int descriptor_ = -1;
};

}  // namespace moebench
