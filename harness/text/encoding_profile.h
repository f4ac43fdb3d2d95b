// How a version of lm-evaluation-harness turns texts into ids: its tok_encode, _encode_pair and loglikelihood_rolling
// (lm_eval/base.py of 0.3.0, lm_eval/api/model.py and lm_eval/models/huggingface.py of the others).
#pragma once

#include <string>
#include <vector>

namespace moebench {

// As 0.4.13, but for a BOS that stands twice (repeats_bos).
struct EncodingProfile {
  bool encodes_jointly = true;  // context and continuation as one text (from 0.4.0); else each by itself
  bool adds_bos = true;         // the BOS that the tokenizer adds by default (from 0.4.9.2); else none
  bool prefix_is_eos = false;   // what stands for an empty context is EOS (up to 0.4.2); else BOS, if there is one
  // A text that is scored as a whole comes after prefix token and BOS, the latter scored as if it were of the text
  // (from 0.4.9.2, github.com/EleutherAI/lm-evaluation-harness/issues/3333).
  bool repeats_bos = false;
};

inline constexpr const char* kDefaultEncodingProfile = "0.4.13";

std::vector<std::string> encoding_profile_names();

// Throws std::invalid_argument for a name that is not among them.
EncodingProfile encoding_profile(const std::string& name);

}  // namespace moebench
