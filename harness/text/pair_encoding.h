// A context and its continuation as the ids that are scored, to the last token as lm-evaluation-harness makes them:
// encoded together, split by the length of the context encoded alone.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "harness/text/encoding_profile.h"
#include "harness/text/tokenizer.h"

namespace moebench {

struct EncodedPair {
  std::vector<int64_t> ids;    // context, then continuation
  int64_t num_context = 0;     // ids before the continuation; at least 1
  bool was_swallowed = false;  // the join merged the whole continuation into the context: its last token stands in
};

// White space at the end of the context belongs to the continuation, unless each is encoded by itself. A context
// without tokens is the prefix token. Throws std::invalid_argument if the continuation has no tokens, or needs a prefix
// token that the tokenizer lacks; std::runtime_error if either is not UTF-8.
EncodedPair encode_pair(const Tokenizer& tokenizer, std::string_view context, std::string_view continuation,
                        const EncodingProfile& profile = {});

// The BOS that the tokenizer puts before a text by default, if it does.
std::optional<int32_t> added_bos(const Tokenizer& tokenizer);

// A text that goes on: with the BOS that the tokenizer adds by default, if the profile wants it and unless the text
// brings it along; without EOS.
std::vector<int64_t> encode_from_start(const Tokenizer& tokenizer, std::string_view text,
                                       const EncodingProfile& profile = {});

// A text of which every token is scored, after the prefix token.
std::vector<int64_t> encode_whole(const Tokenizer& tokenizer, std::string_view text,
                                  const EncodingProfile& profile = {});

// Throws std::invalid_argument if the tokenizer has neither BOS nor EOS.
int64_t prefix_token(const Tokenizer& tokenizer, const EncodingProfile& profile = {});

}  // namespace moebench
