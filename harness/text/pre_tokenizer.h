// Cuts normalised text into the pieces that are tokenised on their own: the "pre_tokenizer" of tokenizer.json.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace moebench {

struct Pieces {
  struct Span {
    size_t begin, end;  // bytes of text; never empty
  };
  std::string text;
  std::vector<Span> spans;   // ascending
  bool starts_text = false;  // the first piece begins where the whole text does, not after an added token

  std::string_view view(const Span& span) const {
    return std::string_view(text).substr(span.begin, span.end - span.begin);
  }
};

class PreTokenizer {
 public:
  // json: null, or an object of type ByteLevel, Digits, Metaspace, Split or Sequence. Throws std::runtime_error naming
  // any other.
  explicit PreTokenizer(const nlohmann::json& json);

  Pieces split(std::string text, bool starts_text) const;

  // Pieces are bytes, spelled with the 256 characters of the byte alphabet; otherwise they are characters.
  bool byte_level() const { return byte_level_; }

  // Appends a cut between any other character and a following "▁".
  void also_cut_before_spaces();

 private:
  void add(const nlohmann::json& json);
  void add_byte_level(const nlohmann::json& json);

  std::vector<std::function<void(Pieces&)>> steps_;
  bool byte_level_ = false;
};

}  // namespace moebench
