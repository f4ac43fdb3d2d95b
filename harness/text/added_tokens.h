// Cuts added tokens ("<|im_end|>") out of text before it is tokenised.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "harness/text/tokenizer.h"
#include "harness/text/tokenizer_spec.h"

namespace moebench {

class AddedTokenMatcher {
 public:
  // Looks for the tokens' contents. Throws std::runtime_error for a token longer than kMaxLength.
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  struct Segment {
    std::string_view text;
    std::optional<int32_t> id;  // without one it is text
  };
  // The whole text in order: at each place the longest token, leftmost first. Segments are views into text.
  std::vector<Segment> split(std::string_view text, SpecialTokens special_tokens) const;

  // Bytes. A token is looked for at every place of a text, so its length is a factor of the time.
  static constexpr size_t kMaxLength = 1024;

 private:
  static constexpr int32_t kNone = -1;
  static uint64_t edge(int32_t node, char byte) {
    return static_cast<uint64_t>(node) << 8 | static_cast<unsigned char>(byte);
  }
  // Index of the longest token that starts at offset; kNone if none does.
  int32_t longest_at(std::string_view text, size_t offset) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<uint64_t, int32_t> edges_;  // a trie over bytes
  std::vector<int32_t> token_at_node_;           // kNone: the node ends no token
  std::array<bool, 256> starts_token_{};
};

}  // namespace moebench
