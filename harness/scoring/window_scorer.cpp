#include "harness/scoring/window_scorer.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "harness/scoring/logit_rows.h"

namespace moebench {
namespace {

// Logits held at a time: small enough for the allocator to keep and use again.
constexpr int64_t kLogitBytes = 32 << 20;

int64_t rows_at_a_time(int64_t vocab_size) {
  return std::max<int64_t>(16, kLogitBytes / (vocab_size * static_cast<int64_t>(sizeof(float))));
}

void check(const ScoreRequest& request) {
  const int64_t num_ids = std::ssize(request.ids);
  if (request.first_scored < 1 || request.first_scored >= num_ids) {
    throw std::invalid_argument("a window of " + std::to_string(num_ids) + " tokens has nothing to score from token " +
                                std::to_string(request.first_scored) +
                                " on; it needs one before and one at that place");
  }
}

TokenScores score_one(const LlamaModel& model, const ScoreRequest& request) {
  const int64_t num_ids = std::ssize(request.ids);
  const at::Tensor ids = at::tensor(request.ids, at::kLong);
  const at::Tensor hidden = model.forward(ids.slice(0, 0, num_ids - 1).unsqueeze(0))[0];
  return score_hidden(model, hidden.slice(0, request.first_scored - 1), ids.slice(0, request.first_scored));
}

}  // namespace

double TokenScores::sum() const { return std::accumulate(logprobs.begin(), logprobs.end(), 0.0); }

std::vector<TokenScores> score(const LlamaModel& model, const std::vector<ScoreRequest>& requests,
                               const std::function<void(const ScoringProgress&)>& progress) {
  const c10::InferenceMode inference;
  ScoringProgress done;
  for (const ScoreRequest& request : requests) {
    check(request);
    done.tokens_total += std::ssize(request.ids);
  }
  std::vector<TokenScores> results;
  for (const ScoreRequest& request : requests) {
    results.push_back(score_one(model, request));
    done.tokens_done += std::ssize(request.ids);
    if (progress) progress(done);
  }
  return results;
}

TokenScores score_hidden(const LlamaModel& model, const at::Tensor& hidden, const at::Tensor& targets) {
  const c10::InferenceMode inference;
  const int64_t num_tokens = hidden.size(0), vocab_size = model.config().vocab_size;
  const at::Tensor ids = targets.to(at::kCPU).contiguous();
  TORCH_CHECK(ids.dim() == 1 && ids.scalar_type() == at::kLong && ids.size(0) == num_tokens, "targets must be [",
              num_tokens, "] int64, not ", ids.scalar_type(), ids.sizes());
  if (num_tokens == 0) return {};
  if (ids.min().item<int64_t>() < 0 || ids.max().item<int64_t>() >= vocab_size) {
    throw std::invalid_argument("a token to score is outside the model's vocabulary of " + std::to_string(vocab_size) +
                                "; was the text tokenized for another model?");
  }
  std::vector<LogitRowScore> rows(num_tokens);
  const int64_t chunk = rows_at_a_time(vocab_size);
  for (int64_t start = 0; start < num_tokens; start += chunk) {
    const at::Tensor logits = model.logits(hidden.slice(0, start, start + chunk)).to(at::kCPU, at::kFloat).contiguous();
    score_logit_rows(logits.data_ptr<float>(), logits.size(0), vocab_size, ids.data_ptr<int64_t>() + start,
                     rows.data() + start);
  }
  TokenScores scores;
  for (const LogitRowScore& row : rows) {
    scores.logprobs.push_back(row.logprob);
    scores.is_greedy.push_back(row.is_greedy);
  }
  return scores;
}

}  // namespace moebench
