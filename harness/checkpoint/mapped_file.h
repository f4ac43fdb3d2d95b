// A file's bytes, mapped read-only: pages are read when touched.
#pragma once

#include <filesystem>
#include <string_view>

namespace moebench {

class MappedFile {
 public:
  // Throws std::runtime_error naming the file if it is missing, unreadable, empty or not a regular file.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::string_view bytes() const { return bytes_; }

 private:
  std::filesystem::path path_;
  std::string_view bytes_;
};

// Also true where it cannot be told (no permission, a circle of links, a name too long): opening then says why.
bool is_there(const std::filesystem::path& path);

// Gives the pages of a part of a mapping back, so that streaming through a big file does not keep it in memory. The
// bytes stay valid: they are read again when touched.
void release_pages(std::string_view mapped_bytes);

}  // namespace moebench
