#include "harness/text/pair_encoding.h"

#include <stdexcept>
#include <string>

#include "harness/checkpoint/utf8.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

// As Python's str.rstrip() does. text is UTF-8.
std::string_view without_trailing_white_space(std::string_view text) {
  while (!text.empty() && is_python_space(last_character(text))) {
    std::string last;
    append_character(last, last_character(text));
    text.remove_suffix(last.size());
  }
  return text;
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

std::vector<int64_t> encode_from_start(const Tokenizer& tokenizer, std::string_view text) {
  const std::vector<int32_t> ids = tokenizer.encode(text);
  const std::vector<int32_t> defaults = tokenizer.encode_with_defaults("");
  const bool adds_bos = !defaults.empty() && tokenizer.bos_id() == defaults.front();
  std::vector<int64_t> result;
  if (adds_bos && (ids.empty() || ids.front() != defaults.front())) result.push_back(defaults.front());
  result.insert(result.end(), ids.begin(), ids.end());
  return result;
}

int64_t prefix_token(const Tokenizer& tokenizer) {
  if (tokenizer.bos_id()) return *tokenizer.bos_id();
  if (tokenizer.eos_id()) return *tokenizer.eos_id();
  throw std::invalid_argument("an empty context needs a BOS or EOS token, and the tokenizer has neither");
}

EncodedPair encode_pair(const Tokenizer& tokenizer, std::string_view context, std::string_view continuation) {
  if (continuation.empty()) throw std::invalid_argument("the continuation is empty: there is nothing to score");
  require_utf8(context, "the context");
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
