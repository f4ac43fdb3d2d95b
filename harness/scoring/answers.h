// A model's answers to the requests of a downstream task, as lm-evaluation-harness asks for them
// (lm_eval/models/huggingface.py of 0.4.13; of other versions what the profile says).
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <nlohmann/json.hpp>

#include "harness/lm_eval/evaluated_document.h"
#include "harness/scoring/window_scorer.h"
#include "harness/text/pair_encoding.h"
#include "harness/text/tokenizer.h"

namespace moebench {

// What does not fit into max_length tokens is cut off the left; the last id is predicted, never fed. Throws
// std::invalid_argument if nothing of the context would be left.
ScoreRequest fit(const EncodedPair& pair, int64_t max_length);

// Windows that score every token of a text once (get_rolling_token_windows with a context of one token): ids begins
// with the prefix token, which is not scored; side by side, and the last slid back to a full window.
std::vector<ScoreRequest> rolling_requests(const std::vector<int64_t>& ids, int64_t max_length);

struct AnswerSettings {
  int64_t max_length = 0;  // tokens of context and continuation
  EncodingProfile profile;
  nlohmann::ordered_json generation_kwargs;  // "until", "max_gen_toks"; greedy
  std::function<void(double fraction)> progress;
};

struct Answers {
  std::vector<std::vector<Response>> responses;  // of each document one an instance
  int64_t num_swallowed = 0;  // continuations without a token of their own: the last joint token was scored
  int64_t num_truncated = 0;  // contexts that lost their beginning
};

// Throws std::invalid_argument naming the document for a request that cannot be answered.
Answers answer(const LlamaModel& model, const Tokenizer& tokenizer, OutputType output_type,
               const std::vector<EvaluatedDocument>& documents, const AnswerSettings& settings);

}  // namespace moebench
