// Byte-pair encoding of one piece of text: characters to tokens, then the merge of lowest rank, leftmost first, until
// none applies. O(n log n) in the piece's length.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "harness/text/tokenizer_spec.h"
#include "harness/text/vocabulary.h"

namespace moebench {

class BytePairModel {
 public:
  // vocabulary must outlive the model. byte_level: pieces are bytes, spelled in the byte alphabet.
  BytePairModel(const TokenizerSpec& spec, const Vocabulary& vocabulary, bool byte_level);

  // Reused from piece to piece; one a thread.
  struct Workspace {
    struct Symbol {
      int32_t token;
      int32_t previous, next;  // -1: none
      bool removed;
    };
    struct Candidate {
      int32_t rank, position, token;
    };
    std::vector<Symbol> symbols;
    std::vector<Candidate> queue;
  };

  // Appends the piece's tokens to ids. piece: UTF-8, less than 2^31 bytes.
  void encode(std::string_view piece, Workspace& workspace, std::vector<int32_t>& ids) const;

  // True if no merge joins a "▁" to another character before it: cutting text between the two changes nothing.
  bool can_cut_before_spaces() const { return can_cut_before_spaces_; }

 private:
  void append_symbols(std::string_view piece, std::vector<int32_t>& tokens) const;
  bool append_fallback_bytes(std::string_view character, std::vector<int32_t>& tokens) const;
  void merge(Workspace& workspace) const;
  void push_candidate(Workspace& workspace, int32_t left, int32_t right) const;

  const Vocabulary& vocabulary_;
  MergeTable merges_;
  std::optional<int32_t> unknown_id_;
  bool fuse_unknown_, byte_fallback_, ignore_merges_, byte_level_;
  bool can_cut_before_spaces_;
  std::array<int32_t, 256> byte_tokens_;           // of the byte alphabet's characters; -1: missing
  std::array<int32_t, 256> fallback_byte_tokens_;  // <0x00> to <0xFF>; -1: missing
};

}  // namespace moebench
