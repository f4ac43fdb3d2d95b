// The bytes of a text file, plain or gzipped.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace moebench {

inline constexpr size_t kMaxTextFileBytes = size_t{1} << 30;  // after decompression

// Throws std::runtime_error naming the file: missing, a folder, more than
// max_bytes, a corrupt or truncated gzip stream, bytes that are not UTF-8 (with byte offset and line).
std::string read_text_file(const std::filesystem::path& path, size_t max_bytes = kMaxTextFileBytes);

}  // namespace moebench
