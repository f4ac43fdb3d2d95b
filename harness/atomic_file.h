// Writes beside the target, then renames: a reader sees the whole file or none.
#pragma once

#include <filesystem>
#include <string_view>

namespace moebench {

class AtomicFile {
 public:
  // Throws TryAgainError if the folder cannot be written (read-only or full disk), naming the path.
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
