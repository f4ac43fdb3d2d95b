// A tokenizer as data, whatever file it came from. The steps stay in tokenizer.json's own words.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/text/merge_table.h"

namespace moebench {

class GgufFile;

struct AddedToken {
  std::string content;
  int32_t id = 0;
  bool special = false;      // left out of decoded text on request; plain text on request
  bool single_word = false;  // not inside a word
  bool lstrip = false;       // takes the whitespace before it
  bool rstrip = false;       // takes the whitespace behind it
  bool normalized = false;   // looked for in the normalised text
};

struct TokenizerSpec {
  nlohmann::json normalizer, pre_tokenizer, decoder;  // null: none
  std::vector<std::string> tokens;                    // by id; "" where an id has none
  std::vector<Merge> merges;
  std::optional<int32_t> unknown_id;  // without one, characters that the vocabulary lacks are dropped before merging
  bool fuse_unknown = false;          // a run of unknown characters is one unknown token
  bool byte_fallback = false;         // an unknown character becomes <0xNN> tokens where all of its bytes have one
  bool ignore_merges = false;         // a piece that is a token is that token, whatever the merges would make of it
  std::vector<AddedToken> added_tokens;
  std::vector<int32_t> prefix, suffix;  // around a text, by default
  std::optional<int32_t> bos_id, eos_id;
  std::vector<int32_t> eos_ids;  // every id that ends a text, eos_id first
};

// Ids at or above this are refused: a hostile file must not make us allocate a table of its size.
inline constexpr int64_t kMaxVocabularySize = int64_t{1} << 22;

// Throw std::runtime_error naming the field; the caller names the file.
TokenizerSpec read_tokenizer_json(const std::filesystem::path& path);
TokenizerSpec read_gguf_tokenizer(const GgufFile& file);

// BOS and EOS as the folder's tokenizer_config.json names them (a null there is none, and so is a text that the
// vocabulary lacks), or else config.json; eos_ids are those of both. Throws std::runtime_error if such a file cannot be
// read, or an id in it is of another type or none of the vocabulary.
void read_bos_and_eos(const std::filesystem::path& folder, TokenizerSpec& spec);

}  // namespace moebench
