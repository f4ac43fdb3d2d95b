// Frequent pieces are tokenised once a text: a direct-mapped table that remembers where a piece's ids already stand
// in the output. Bounded; a collision forgets the older piece.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <string_view>
#include <vector>

namespace moebench {

class PieceCache {
 public:
  struct Entry {
    std::string_view piece;
    size_t first = 0, count = 0;  // ids of the output
  };

  // text_size: bytes that the pieces come from.
  explicit PieceCache(size_t text_size) : entries_(std::bit_ceil(std::min(text_size / 4 + 1, kMaxEntries))) {}

  // The entry where piece stands or may be put: compare its piece.
  Entry& entry_of(std::string_view piece) {
    return entries_[std::hash<std::string_view>()(piece) & (entries_.size() - 1)];
  }

 private:
  static constexpr size_t kMaxEntries = size_t{1} << 15;
  std::vector<Entry> entries_;
};

}  // namespace moebench
