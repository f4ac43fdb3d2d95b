#include "harness/scoring/window_scorer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "harness/scoring/logit_rows.h"
#include "harness/scoring/score_batch.h"

namespace moebench {
namespace {

// Logits held at a time: small enough for the allocator to keep and use again.
constexpr int64_t kLogitBytes = 32 << 20;

int64_t rows_at_a_time(int64_t vocab_size) {
  return std::max<int64_t>(16, kLogitBytes / (vocab_size * static_cast<int64_t>(sizeof(float))));
}

void check_ids(const int64_t* ids, int64_t count, int64_t vocab_size) {
  const auto [lowest, highest] = std::minmax_element(ids, ids + count);
  if (count > 0 && (*lowest < 0 || *highest >= vocab_size)) {
    throw std::invalid_argument("a token to score is outside the model's vocabulary of " + std::to_string(vocab_size) +
                                "; was the text tokenized for another model?");
  }
}

void check(const ScoreRequest& request, int64_t vocab_size) {
  const int64_t num_ids = std::ssize(request.ids);
  if (request.first_scored < 1 || request.first_scored >= num_ids) {
    throw std::invalid_argument("a window of " + std::to_string(num_ids) + " tokens has nothing to score from token " +
                                std::to_string(request.first_scored) +
                                " on; it needs one before and one at that place");
  }
  check_ids(request.ids.data(), num_ids, vocab_size);
}

// On a GPU: each request on its own.
TokenScores score_alone(const LlamaModel& model, const ScoreRequest& request) {
  const int64_t num_ids = std::ssize(request.ids);
  const at::Tensor ids = at::tensor(request.ids, at::kLong);
  const at::Tensor hidden = model.forward(ids.slice(0, 0, num_ids - 1).unsqueeze(0))[0];
  return score_hidden(model, hidden.slice(0, request.first_scored - 1), ids.slice(0, request.first_scored));
}

// The first of them that make up a batch. In ascending order of what they feed.
std::span<const ScoreRequest* const> batch_from(std::span<const ScoreRequest* const> requests, int64_t tokens_a_batch) {
  int64_t tokens = 0;
  size_t count = 0;
  for (; count < requests.size(); ++count) {
    const std::vector<int64_t>& ids = requests[count]->ids;
    // What the request before it begins with is computed with that one; the scored tokens are held for each.
    int64_t shared = 0;
    if (count > 0) {
      const std::vector<int64_t>& before = requests[count - 1]->ids;
      shared = std::mismatch(ids.begin(), ids.end(), before.begin(), before.end()).first - ids.begin();
    }
    tokens += std::ssize(ids) - shared + std::ssize(ids) - requests[count]->first_scored;
    if (count > 0 && tokens > tokens_a_batch) break;
  }
  return requests.first(count);
}

bool feeds_less(const ScoreRequest& one, const ScoreRequest& other) {
  return std::lexicographical_compare(one.ids.begin(), one.ids.end() - 1, other.ids.begin(), other.ids.end() - 1);
}

}  // namespace

double TokenScores::sum() const { return std::accumulate(logprobs.begin(), logprobs.end(), 0.0); }

std::vector<TokenScores> score(const LlamaModel& model, const std::vector<ScoreRequest>& requests,
                               const std::function<void(const ScoringProgress&)>& progress, const ScoringPlan& plan) {
  const c10::InferenceMode inference;
  ScoringProgress done;
  std::vector<const ScoreRequest*> in_order;
  for (const ScoreRequest& request : requests) {
    check(request, model.config().vocab_size);
    done.tokens_total += std::ssize(request.ids);
    in_order.push_back(&request);
  }
  const bool is_alone = !model.precision().device.is_cpu();
  if (!is_alone) {
    std::stable_sort(in_order.begin(), in_order.end(),
                     [](const ScoreRequest* one, const ScoreRequest* other) { return feeds_less(*one, *other); });
  }
  std::vector<TokenScores> results(requests.size());
  for (std::span<const ScoreRequest* const> left = in_order; !left.empty();) {
    const std::span<const ScoreRequest* const> batch = batch_from(left, is_alone ? 0 : plan.tokens_a_batch);
    std::vector<TokenScores> scores =
        is_alone ? std::vector{score_alone(model, *batch.front())} : score_batch(model, batch, plan);
    for (size_t request = 0; request < batch.size(); ++request) {
      results[batch[request] - requests.data()] = std::move(scores[request]);
      done.tokens_done += std::ssize(batch[request]->ids);
    }
    if (progress) progress(done);
    left = left.subspan(batch.size());
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
  check_ids(ids.data_ptr<int64_t>(), num_tokens, vocab_size);
  std::vector<LogitRowScore> rows(num_tokens);
  const int64_t chunk = rows_at_a_time(vocab_size);
  for (int64_t start = 0; start < num_tokens; start += chunk) {
    const at::Tensor part = hidden.slice(0, start, start + chunk);
    // Few rows would be computed in another order (token_run.h).
    const at::Tensor padded = at::constant_pad_nd(part, {0, 0, 0, std::max<int64_t>(0, kRowMultiple - part.size(0))});
    const at::Tensor logits = model.logits(padded).to(at::kCPU, at::kFloat).contiguous();
    score_logit_rows(logits.data_ptr<float>(), part.size(0), vocab_size, ids.data_ptr<int64_t>() + start,
                     rows.data() + start);
  }
  TokenScores scores;
  for (const LogitRowScore& row : rows) {
    if (std::isnan(row.logprob)) throw std::runtime_error(kNotANumber);
    scores.logprobs.push_back(row.logprob);
    scores.is_greedy.push_back(row.is_greedy);
  }
  return scores;
}

}  // namespace moebench
