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

EncodedPair without_context(const Tokenizer& tokenizer, std::string_view continuation, const EncodingProfile& profile) {
  const int64_t prefix = prefix_token(tokenizer, profile);
  const std::vector<int32_t> ids = tokenizer.encode(continuation);
  EncodedPair pair{.num_context = 1};
  // From the version on that adds BOS, a continuation that brings the prefix token along does not get a second one.
  if (!profile.adds_bos || ids.size() < 2 || ids.front() != prefix) pair.ids.push_back(prefix);
  pair.ids.insert(pair.ids.end(), ids.begin(), ids.end());
  return pair;
}

EncodedPair each_by_itself(const Tokenizer& tokenizer, std::string_view context, std::string_view continuation,
                           const EncodingProfile& profile) {
  EncodedPair pair{.ids = encode_from_start(tokenizer, context, profile)};
  pair.num_context = std::ssize(pair.ids);
  const std::vector<int64_t> ids = encode_from_start(tokenizer, continuation, profile);
  pair.ids.insert(pair.ids.end(), ids.begin(), ids.end());
  return pair;
}

EncodedPair together(const Tokenizer& tokenizer, std::string_view stripped_context, std::string_view joined,
                     const EncodingProfile& profile) {
  EncodedPair pair{.ids = encode_from_start(tokenizer, stripped_context, profile)};
  pair.num_context = std::ssize(pair.ids);
  const std::vector<int64_t> whole = encode_from_start(tokenizer, joined, profile);
  if (std::ssize(whole) > pair.num_context) {
    pair.ids.insert(pair.ids.end(), whole.begin() + pair.num_context, whole.end());
  } else if (whole.size() > 1) {
    pair = {whole, std::ssize(whole) - 1, true};
  } else if (!whole.empty()) {
    pair = {{prefix_token(tokenizer, profile), whole.front()}, 1, true};
  }
  return pair;
}

}  // namespace

std::optional<int32_t> added_bos(const Tokenizer& tokenizer) {
  const std::vector<int32_t> added = tokenizer.encode_with_defaults("");
  return !added.empty() && added.front() == tokenizer.bos_id() ? tokenizer.bos_id() : std::nullopt;
}

std::vector<int64_t> encode_from_start(const Tokenizer& tokenizer, std::string_view text,
                                       const EncodingProfile& profile) {
  const std::vector<int32_t> ids = tokenizer.encode(text);
  const std::optional<int32_t> bos = profile.adds_bos ? added_bos(tokenizer) : std::nullopt;
  std::vector<int64_t> result;
  if (bos && (ids.empty() || ids.front() != *bos)) result.push_back(*bos);
  result.insert(result.end(), ids.begin(), ids.end());
  return result;
}

std::vector<int64_t> encode_whole(const Tokenizer& tokenizer, std::string_view text, const EncodingProfile& profile) {
  std::vector<int64_t> result = encode_from_start(tokenizer, text, {.adds_bos = profile.repeats_bos});
  result.insert(result.begin(), prefix_token(tokenizer, profile));
  return result;
}

int64_t prefix_token(const Tokenizer& tokenizer, const EncodingProfile& profile) {
  if (tokenizer.bos_id() && !(profile.prefix_is_eos && tokenizer.eos_id())) return *tokenizer.bos_id();
  if (tokenizer.eos_id()) return *tokenizer.eos_id();
  throw std::invalid_argument("an empty context needs a BOS or EOS token, and the tokenizer has neither");
}

EncodedPair encode_pair(const Tokenizer& tokenizer, std::string_view context, std::string_view continuation,
                        const EncodingProfile& profile) {
  if (continuation.empty()) throw std::invalid_argument("the continuation is empty: there is nothing to score");
  require_utf8(context, "the context");
  const std::string joined = std::string(context) + std::string(continuation);
  const std::string_view stripped = profile.encodes_jointly ? without_trailing_white_space(context) : context;
  const EncodedPair pair = stripped.empty()          ? without_context(tokenizer, joined, profile)
                           : profile.encodes_jointly ? together(tokenizer, stripped, joined, profile)
                                                     : each_by_itself(tokenizer, context, continuation, profile);
  if (pair.num_context < 1 || std::ssize(pair.ids) <= pair.num_context) {
    throw std::invalid_argument("the tokenizer makes no token of the continuation: there is nothing to score");
  }
  return pair;
}

}  // namespace moebench
