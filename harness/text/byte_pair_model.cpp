#include "harness/text/byte_pair_model.h"

#include <algorithm>

#include <fmt/format.h>

#include "harness/text/byte_alphabet.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

constexpr std::string_view kSpace = "▁";

bool runs_after(const BytePairModel::Workspace::Candidate& one, const BytePairModel::Workspace::Candidate& other) {
  return one.rank != other.rank ? one.rank > other.rank : one.position > other.position;
}

// Text that is dropped would bring its neighbours together, so every character must become some token.
bool never_joins_space_to_word(const TokenizerSpec& spec, const Vocabulary& vocabulary) {
  if (spec.ignore_merges || !spec.unknown_id || !vocabulary.find(kSpace)) return false;
  return std::none_of(spec.merges.begin(), spec.merges.end(), [&](const Merge& merge) {
    return vocabulary.token(merge.right).starts_with(kSpace) && !vocabulary.token(merge.left).ends_with(kSpace);
  });
}

}  // namespace

BytePairModel::BytePairModel(const TokenizerSpec& spec, const Vocabulary& vocabulary, bool byte_level)
    : vocabulary_(vocabulary),
      merges_(spec.merges),
      unknown_id_(spec.unknown_id),
      fuse_unknown_(spec.fuse_unknown),
      byte_fallback_(spec.byte_fallback),
      ignore_merges_(spec.ignore_merges),
      byte_level_(byte_level),
      can_cut_before_spaces_(!byte_level && never_joins_space_to_word(spec, vocabulary)) {
  for (int byte = 0; byte < 256; ++byte) {
    const auto index = static_cast<size_t>(byte);
    byte_tokens_[index] = vocabulary.find(spell_byte(static_cast<unsigned char>(byte))).value_or(-1);
    fallback_byte_tokens_[index] = vocabulary.find(fmt::format("<0x{:02X}>", byte)).value_or(-1);
  }
}

void BytePairModel::encode(std::string_view piece, Workspace& workspace, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto id = vocabulary_.find(byte_level_ ? spell_bytes(piece) : std::string(piece))) {
      ids.push_back(*id);
      return;
    }
  }
  const auto first = static_cast<ptrdiff_t>(ids.size());
  append_symbols(piece, ids);
  auto& symbols = workspace.symbols;
  symbols.clear();
  for (auto id = ids.begin() + first; id != ids.end(); ++id) {
    const auto position = static_cast<int32_t>(symbols.size());
    symbols.push_back({*id, position - 1, position + 1, false});
  }
  if (symbols.size() < 2) return;
  symbols.back().next = -1;
  merge(workspace);
  ids.resize(static_cast<size_t>(first));
  for (int32_t position = 0; position >= 0; position = symbols[static_cast<size_t>(position)].next) {
    ids.push_back(symbols[static_cast<size_t>(position)].token);
  }
}

void BytePairModel::append_symbols(std::string_view piece, std::vector<int32_t>& tokens) const {
  // An unknown token waits for the next known character, even behind the bytes of a fallback: as Hugging Face's does.
  bool unknown_waits = false;
  const auto flush = [&] {
    if (unknown_waits) tokens.push_back(*unknown_id_);
    unknown_waits = false;
  };
  for (size_t offset = 0, length = 0; offset < piece.size(); offset += length) {
    length = byte_level_ ? 1 : character_length(piece[offset]);
    const auto byte = static_cast<unsigned char>(piece[offset]);
    const std::string_view character = byte_level_ ? spell_byte(byte) : piece.substr(offset, length);
    const int32_t token = byte_level_ ? byte_tokens_[byte] : vocabulary_.find(character).value_or(-1);
    if (token >= 0) {
      flush();
      tokens.push_back(token);
    } else if (!append_fallback_bytes(character, tokens) && unknown_id_) {
      if (!fuse_unknown_) flush();
      unknown_waits = true;
    }
  }
  flush();
}

bool BytePairModel::append_fallback_bytes(std::string_view character, std::vector<int32_t>& tokens) const {
  const auto token_of = [&](char byte) { return fallback_byte_tokens_[static_cast<unsigned char>(byte)]; };
  if (!byte_fallback_ || !std::all_of(character.begin(), character.end(), [&](char c) { return token_of(c) >= 0; })) {
    return false;
  }
  for (const char byte : character) tokens.push_back(token_of(byte));
  return true;
}

void BytePairModel::push_candidate(Workspace& workspace, int32_t left, int32_t right) const {
  const Merge* merge = merges_.find(workspace.symbols[static_cast<size_t>(left)].token,
                                    workspace.symbols[static_cast<size_t>(right)].token);
  if (merge != nullptr) workspace.queue.push_back({merge->rank, left, merge->token});
}

void BytePairModel::merge(Workspace& workspace) const {
  auto& symbols = workspace.symbols;
  auto& queue = workspace.queue;
  const auto at = [&](int32_t position) -> Workspace::Symbol& { return symbols[static_cast<size_t>(position)]; };
  const auto push = [&](int32_t left, int32_t right) {
    const size_t size = queue.size();
    push_candidate(workspace, left, right);
    if (queue.size() != size) std::push_heap(queue.begin(), queue.end(), runs_after);
  };
  queue.clear();
  for (int32_t position = 0; at(position).next >= 0; ++position) push_candidate(workspace, position, position + 1);
  std::make_heap(queue.begin(), queue.end(), runs_after);
  while (!queue.empty()) {
    const Workspace::Candidate candidate = queue.front();
    std::pop_heap(queue.begin(), queue.end(), runs_after);
    queue.pop_back();
    Workspace::Symbol& left = at(candidate.position);
    if (left.removed || left.next < 0) continue;
    Workspace::Symbol& right = at(left.next);
    const Merge* current = merges_.find(left.token, right.token);
    if (current == nullptr || current->token != candidate.token) continue;  // stale: a neighbour has changed
    left.token = candidate.token;
    right.removed = true;
    left.next = right.next;
    if (right.next >= 0) at(right.next).previous = candidate.position;
    if (left.previous >= 0) push(left.previous, candidate.position);
    if (left.next >= 0) push(candidate.position, left.next);
  }
}

}  // namespace moebench
