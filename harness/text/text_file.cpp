#include "harness/text/text_file.h"

#include <algorithm>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <system_error>

#include <zlib.h>

#include "harness/checkpoint/utf8.h"

namespace moebench {
namespace {

std::string refusal(const std::filesystem::path& path, const std::string& why) { return path.string() + ": " + why; }

// zlib reads a file without a gzip header as it is, so plain and compressed files go the same way.
std::string read_bytes(const std::filesystem::path& path, size_t max_bytes) {
  errno = 0;
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), &gzclose);
  if (!file) throw std::runtime_error(refusal(path, "cannot be opened: " + std::generic_category().message(errno)));
  gzbuffer(file.get(), 1 << 17);
  constexpr size_t kChunk = size_t{1} << 20;
  std::string bytes;
  while (true) {
    const size_t size = bytes.size();
    bytes.resize(size + kChunk);
    const int count = gzread(file.get(), bytes.data() + size, kChunk);
    bytes.resize(size + static_cast<size_t>(std::max(count, 0)));
    int error = Z_OK;
    const char* message = gzerror(file.get(), &error);
    if (count < 0 || error != Z_OK) {
      throw std::runtime_error(refusal(path, std::string("not a whole gzip file (") + message + "); fetch it again"));
    }
    if (bytes.size() > max_bytes) {
      throw std::runtime_error(refusal(path, "more than " + std::to_string(max_bytes) + " bytes of text; split it"));
    }
    if (count == 0) return bytes;
  }
}

}  // namespace

std::string read_text_file(const std::filesystem::path& path, size_t max_bytes) {
  std::error_code ignored;  // is opening's to report
  if (std::filesystem::is_directory(path, ignored))
    throw std::runtime_error(refusal(path, "is a folder, not a text file"));
  std::string bytes = read_bytes(path, max_bytes);
  const size_t offset = find_invalid_utf8(bytes);
  if (offset == std::string_view::npos) return bytes;
  const auto line = 1 + std::count(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(offset), '\n');
  throw std::runtime_error(refusal(path, "not UTF-8 at byte " + std::to_string(offset) + " (line " +
                                             std::to_string(line) + "); convert it to UTF-8 first"));
}

}  // namespace moebench
