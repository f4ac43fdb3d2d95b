#include "harness/text/pair_encoding.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace moebench {
namespace {

// What Python's str.rstrip() takes off: str.isspace() of each code point.
constexpr std::array<std::string_view, 29> kWhiteSpace = {
    "\t",           "\n",           "\v",           "\f",           "\r",
    "\x1C",         "\x1D",         "\x1E",         "\x1F",         " ",
    "\xC2\x85",     "\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81",
    "\xE2\x80\x82", "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86",
    "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8",
    "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80"};

std::string_view without_trailing_white_space(std::string_view text) {
  const auto space_at_end = [&] {
    return std::find_if(kWhiteSpace.begin(), kWhiteSpace.end(), [&](std::string_view s) { return text.ends_with(s); });
  };
  for (auto space = space_at_end(); space != kWhiteSpace.end(); space = space_at_end()) {
    text.remove_suffix(space->size());
  }
  return text;
}

// The BOS that the tokenizer adds by default, unless the text brings it along. No EOS: the text goes on.
std::vector<int64_t> encode_from_start(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<int32_t> ids = tokenizer.encode(text);
  const std::vector<int32_t> defaults = tokenizer.encode_with_defaults("");
  const bool adds_bos = !defaults.empty() && tokenizer.bos_id() == defaults.front();
  std::vector<int64_t> result;
  if (adds_bos && (ids.empty() || ids.front() != defaults.front())) result.push_back(defaults.front());
  result.insert(result.end(), ids.begin(), ids.end());
  return result;
}

EncodedPair without_context(const Tokenizer& tokenizer, std::string_view continuation) {
  const int64_t prefix = prefix_token(tokenizer);
  const std::vector<int32_t> ids = tokenizer.encode(continuation);
  EncodedPair pair{.num_context = 1};
  // A continuation that brings the prefix token along does not get a second one.
  if (ids.size() < 2 || ids.front() != prefix) pair.ids.push_back(prefix);
  pair.ids.insert(pair.ids.end(), ids.begin(), ids.end());
  return pair;
}

}  // namespace

int64_t prefix_token(const Tokenizer& tokenizer) {
  if (tokenizer.bos_id()) return *tokenizer.bos_id();
  if (tokenizer.eos_id()) return *tokenizer.eos_id();
  throw std::invalid_argument("an empty context needs a BOS or EOS token, and the tokenizer has neither");
}

EncodedPair encode_pair(const Tokenizer& tokenizer, std::string_view context, std::string_view continuation) {
  if (continuation.empty()) throw std::invalid_argument("the continuation is empty: there is nothing to score");
  const std::string_view stripped = without_trailing_white_space(context);
  const std::string joined = std::string(context) + std::string(continuation);
  EncodedPair pair;
  if (stripped.empty()) {
    pair = without_context(tokenizer, joined);
  } else {
    pair.ids = encode_from_start(tokenizer, stripped);
    pair.num_context = static_cast<int64_t>(pair.ids.size());
    const std::vector<int64_t> whole = encode_from_start(tokenizer, joined);
    if (static_cast<int64_t>(whole.size()) > pair.num_context) {
      pair.ids.insert(pair.ids.end(), whole.begin() + pair.num_context, whole.end());
    } else if (whole.size() > 1) {
      pair = {whole, static_cast<int64_t>(whole.size()) - 1, true};
    } else if (!whole.empty()) {
      pair = {{prefix_token(tokenizer), whole.front()}, 1, true};
    }
  }
  if (pair.num_context < 1 || static_cast<int64_t>(pair.ids.size()) <= pair.num_context) {
    throw std::invalid_argument("the tokenizer makes no token of the continuation: there is nothing to score");
  }
  return pair;
}

}  // namespace moebench
