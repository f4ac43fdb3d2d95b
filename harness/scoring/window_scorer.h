// "Log-probability of these tokens at these positions": the one engine behind every perplexity and every
// log-likelihood task. fp32 logits, float64 sums.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/model/llama.h"

namespace moebench {

// ids[first_scored .. end) are scored, each given all ids before it in the window. 1 <= first_scored.
struct ScoreRequest {
  std::vector<int64_t> ids;
  int64_t first_scored = 1;
};

struct TokenScores {
  std::vector<double> logprobs;  // natural log, one a scored token
  std::vector<bool> is_greedy;   // the token is the argmax (lowest id on ties)
  double sum() const;
};

struct ScoringProgress {
  int64_t tokens_done = 0, tokens_total = 0;
};

// How the work is cut up. On a CPU with AVX2 or more results do not depend on it, to the bit.
struct ScoringPlan {
  // Computed side by side by one thread.
  int64_t tokens_a_pack = 512;
  // New and scored tokens of requests that are planned together; packs of them are shared among the threads.
  int64_t tokens_a_batch = 16384;
  // What requests have in common at their beginning is computed once from so many tokens on; 0: never.
  int64_t fewest_shared = 16;
};

// One result per request, in their order; a request's does not depend on the others: not on their number, their order
// or what they share. Throws std::invalid_argument for an empty request or an id outside the vocabulary.
std::vector<TokenScores> score(const LlamaModel& model, const std::vector<ScoreRequest>& requests,
                               const std::function<void(const ScoringProgress&)>& progress = {},
                               const ScoringPlan& plan = {});

// Log-probability of each target given its row of hidden states, without holding more than a chunk of logits.
// hidden: [tokens, D]; targets: [tokens] int64. Float64 log-softmax over fp32 logits.
TokenScores score_hidden(const LlamaModel& model, const at::Tensor& hidden, const at::Tensor& targets);

}  // namespace moebench
