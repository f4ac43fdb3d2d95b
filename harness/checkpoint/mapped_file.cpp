#include "harness/checkpoint/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace moebench {
namespace {

// Closes on every way out; the mapping outlives the descriptor.
struct Descriptor {
  int value = -1;
  ~Descriptor() {
    if (value >= 0) close(value);
  }
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const auto refuse = [&](const std::string& reason) { return std::runtime_error(path.string() + ": " + reason); };
  // Non-blocking, for opening a pipe would wait for a writer.
  const Descriptor descriptor{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat status;
  if (descriptor.value < 0 || fstat(descriptor.value, &status) != 0) {
    throw refuse(std::string("cannot be read (") + std::strerror(errno) + ")");
  }
  if (!S_ISREG(status.st_mode)) throw refuse("is not a regular file");
  if (status.st_size == 0) throw refuse("is empty; incomplete download?");
  const auto size = static_cast<size_t>(status.st_size);
  void* address = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, descriptor.value, 0);
  if (address == MAP_FAILED) throw refuse(std::string("cannot be mapped (") + std::strerror(errno) + ")");
  bytes_ = {static_cast<const char*>(address), size};
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

bool is_there(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::exists(path, error) || error;
}

void release_pages(std::string_view mapped_bytes) {
  // Inwards to whole pages: the neighbours' bytes may be in use.
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<uintptr_t>(mapped_bytes.data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<uintptr_t>(mapped_bytes.data()) + mapped_bytes.size()) / page * page;
  if (begin < end) madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace moebench
