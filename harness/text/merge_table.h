// Pairs of neighbouring tokens that become one: a flat hash table, the innermost look-up of tokenising.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace moebench {

struct Merge {
  int32_t left = 0, right = 0;  // token ids
  int32_t token = 0;            // what they become
  int32_t rank = 0;             // lower ranks merge first
};

class MergeTable {
 public:
  // Of two merges of the same pair the later one counts.
  explicit MergeTable(const std::vector<Merge>& merges)
      : slots_(std::bit_ceil(merges.size() * 2 + 1), Merge{.left = kFree}),
        shift_(64 - std::bit_width(slots_.size() - 1)) {
    for (const Merge& merge : merges) slots_[slot(merge.left, merge.right)] = merge;
  }

  // Null if the two do not merge.
  const Merge* find(int32_t left, int32_t right) const {
    const Merge& merge = slots_[slot(left, right)];
    return merge.left == kFree ? nullptr : &merge;
  }

 private:
  static constexpr int32_t kFree = -1;

  size_t slot(int32_t left, int32_t right) const {
    const uint64_t key = static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
    // Fibonacci hashing: the product's top bits depend on all of the key.
    size_t index = slots_.size() == 1 ? 0 : static_cast<size_t>(key * 0x9E3779B97F4A7C15u >> shift_);
    while (slots_[index].left != kFree && (slots_[index].left != left || slots_[index].right != right)) {
      index = (index + 1) & (slots_.size() - 1);
    }
    return index;
  }

  std::vector<Merge> slots_;
  int shift_;
};

}  // namespace moebench
