#include "harness/text/added_tokens.h"

#include <algorithm>
#include <stdexcept>

#include "harness/text/unicode.h"

namespace moebench {
namespace {

size_t trailing_whitespace_begin(std::string_view text) {
  while (!text.empty() && is_whitespace(last_character(text))) {
    while ((text.back() & 0xC0) == 0x80) text.remove_suffix(1);
    text.remove_suffix(1);
  }
  return text.size();
}

size_t leading_whitespace_end(std::string_view text) {
  size_t end = 0;
  while (end < text.size() && is_whitespace(first_character(text.substr(end)))) end += character_length(text[end]);
  return end;
}

bool is_inside_word(std::string_view text, size_t begin, size_t end) {
  return (begin > 0 && is_word_character(last_character(text.substr(0, begin)))) ||
         (end < text.size() && is_word_character(first_character(text.substr(end))));
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), token_at_node_{kNone} {
  for (size_t index = 0; index < tokens_.size(); ++index) {
    const std::string& content = tokens_[index].content;
    if (content.empty()) continue;
    if (content.size() > kMaxLength) {
      throw std::runtime_error("added_tokens: token " + std::to_string(tokens_[index].id) + " has " +
                               std::to_string(content.size()) + " bytes; at most " + std::to_string(kMaxLength));
    }
    int32_t node = 0;
    for (const char byte : content) {
      const auto [child, is_new] = edges_.try_emplace(edge(node, byte), static_cast<int32_t>(token_at_node_.size()));
      if (is_new) token_at_node_.push_back(kNone);
      node = child->second;
    }
    int32_t& token = token_at_node_[static_cast<size_t>(node)];
    if (token == kNone) token = static_cast<int32_t>(index);
    starts_token_[static_cast<unsigned char>(content[0])] = true;
  }
}

int32_t AddedTokenMatcher::longest_at(std::string_view text, size_t offset) const {
  int32_t longest = kNone;
  for (int32_t node = 0; offset < text.size(); ++offset) {
    const auto child = edges_.find(edge(node, text[offset]));
    if (child == edges_.end()) break;
    node = child->second;
    if (token_at_node_[static_cast<size_t>(node)] != kNone) longest = token_at_node_[static_cast<size_t>(node)];
  }
  return longest;
}

std::vector<AddedTokenMatcher::Segment> AddedTokenMatcher::split(std::string_view text,
                                                                 SpecialTokens special_tokens) const {
  std::vector<Segment> segments;
  size_t done = 0;  // text before it stands in segments
  for (size_t offset = 0; offset < text.size();) {
    const int32_t index = starts_token_[static_cast<unsigned char>(text[offset])] ? longest_at(text, offset) : kNone;
    if (index == kNone) {
      ++offset;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<size_t>(index)];
    size_t begin = offset, end = offset + token.content.size();
    offset = end;  // also behind a token that is not taken: nothing is looked for inside it
    if (token.special && special_tokens == SpecialTokens::kPlainText) continue;
    if (token.single_word && is_inside_word(text, begin, end)) continue;
    if (token.lstrip) begin = std::max(done, trailing_whitespace_begin(text.substr(0, begin)));
    if (token.rstrip) end += leading_whitespace_end(text.substr(end));
    if (done < begin) segments.push_back({text.substr(done, begin - done), std::nullopt});
    segments.push_back({text.substr(begin, end - begin), token.id});
    done = end;
  }
  if (done < text.size()) segments.push_back({text.substr(done), std::nullopt});
  return segments;
}

}  // namespace moebench
