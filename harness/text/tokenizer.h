// Text to token ids, equal to Hugging Face tokenizers': byte-level BPE and SentencePiece-style BPE with byte fallback,
// from tokenizer.json or from a GGUF vocabulary.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace moebench {

enum class SpecialTokens {
  kParse,      // "<|im_end|>" in the text is that token
  kPlainText,  // it is eleven characters
};

class Tokenizer {
 public:
  // model_path: a Hugging Face directory with tokenizer.json, a tokenizer.json, or a .gguf file.
  // Throws std::runtime_error naming file and field.
  static std::unique_ptr<Tokenizer> load(const std::filesystem::path& model_path);
  ~Tokenizer();

  // Without BOS and EOS. Throws std::runtime_error with the byte offset if text is not UTF-8.
  std::vector<int32_t> encode(std::string_view text, SpecialTokens special_tokens = SpecialTokens::kParse) const;
  // With the BOS and EOS that the tokenizer adds by default (its post-processor, or GGUF add_bos_token).
  std::vector<int32_t> encode_with_defaults(std::string_view text) const;

  // UTF-8: bytes that are not become U+FFFD. Ids without a token decode to nothing.
  std::string decode(std::span<const int32_t> ids) const;

  int64_t vocab_size() const;  // every id is below it; some may have no token
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;
  const std::vector<int32_t>& eos_ids() const;  // all that end a text: eos_id, and what a chat model has beside it
  std::string content_hash() const;             // of everything that decides ids

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace moebench
