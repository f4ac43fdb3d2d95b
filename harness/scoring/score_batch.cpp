#include "harness/scoring/score_batch.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "harness/scoring/request_tree.h"
#include "harness/scoring/thread_shares.h"

namespace moebench {
namespace {

constexpr int64_t kRowsAtATime = 128;  // of logits, a thread

using Pack = std::vector<TokenRun*>;

// The runs of that depth, the longest first: what is left for the last thread is then short.
std::vector<RequestRun*> runs_at(RequestTree& tree, int64_t depth) {
  std::vector<RequestRun*> runs;
  for (RequestRun& run : tree.runs) {
    if (run.depth == depth) runs.push_back(&run);
  }
  std::stable_sort(runs.begin(), runs.end(), [](const RequestRun* one, const RequestRun* other) {
    return one->num_tokens() > other->num_tokens();
  });
  return runs;
}

std::vector<Pack> pack(const std::vector<RequestRun*>& runs, int64_t tokens_a_pack) {
  int64_t total = 0;
  for (const RequestRun* run : runs) total += run->num_tokens();
  // Every thread gets a share of little work, too.
  const int64_t most = std::clamp<int64_t>(total / at::get_num_threads(), 1, tokens_a_pack);
  std::vector<Pack> packs;
  int64_t in_pack = 0;
  for (RequestRun* const run : runs) {
    if (packs.empty() || in_pack + run->num_tokens() > most) {
      packs.emplace_back();
      in_pack = 0;
    }
    packs.back().push_back(run);
    in_pack += run->num_tokens();
  }
  return packs;
}

void compute(const LlamaModel& model, RequestTree& tree, const ScoringPlan& plan) {
  int64_t deepest = 0;
  for (const RequestRun& run : tree.runs) deepest = std::max(deepest, run.depth);
  for (int64_t depth = 0; depth <= deepest; ++depth) {
    const std::vector<Pack> packs = pack(runs_at(tree, depth), plan.tokens_a_pack);
    share_among_threads(std::ssize(packs), [&](int64_t index) {
      const at::Tensor hidden = model.forward(packs[index]);
      int64_t first = 0;
      for (TokenRun* const run : packs[index]) {
        static_cast<RequestRun*>(run)->hidden = hidden.narrow(0, first, run->num_tokens());
        first += run->num_tokens();
      }
    });
  }
}

// Of the tokens that predict the request's scored ones, which may stand in several runs: [scored, D].
void add_predicting_rows(const ScoreRequest& request, const RequestRun* run, std::vector<at::Tensor>& rows) {
  const int64_t first = request.first_scored - 1;
  const size_t place = rows.size();
  for (; run != nullptr; run = run->parent) {
    const int64_t skipped = std::max<int64_t>(0, first - run->first_position());
    rows.insert(rows.begin() + static_cast<std::ptrdiff_t>(place), run->hidden.slice(0, skipped));
    if (run->first_position() <= first) break;
  }
}

}  // namespace

std::vector<TokenScores> score_batch(const LlamaModel& model, std::span<const ScoreRequest* const> requests,
                                     const ScoringPlan& plan) {
  RequestTree tree = make_request_tree(requests, plan.fewest_shared);
  compute(model, tree, plan);
  std::vector<at::Tensor> rows;
  std::vector<int64_t> targets;
  for (size_t request = 0; request < requests.size(); ++request) {
    const ScoreRequest& asked = *requests[request];
    add_predicting_rows(asked, tree.last_runs[request], rows);
    targets.insert(targets.end(), asked.ids.begin() + asked.first_scored, asked.ids.end());
  }
  const at::Tensor hidden = at::cat(rows), ids = at::tensor(targets, at::kLong);
  const int64_t num_rows = hidden.size(0);
  std::vector<TokenScores> chunks((num_rows + kRowsAtATime - 1) / kRowsAtATime);
  share_among_threads(std::ssize(chunks), [&](int64_t chunk) {
    const int64_t first = chunk * kRowsAtATime;
    chunks[chunk] =
        score_hidden(model, hidden.slice(0, first, first + kRowsAtATime), ids.slice(0, first, first + kRowsAtATime));
  });

  std::vector<TokenScores> scores(requests.size());
  int64_t row = 0;
  for (size_t request = 0; request < requests.size(); ++request) {
    for (int64_t place = requests[request]->first_scored; place < std::ssize(requests[request]->ids); ++place, ++row) {
      const TokenScores& chunk = chunks[row / kRowsAtATime];
      scores[request].logprobs.push_back(chunk.logprobs[row % kRowsAtATime]);
      scores[request].is_greedy.push_back(chunk.is_greedy[row % kRowsAtATime]);
    }
  }
  return scores;
}

}  // namespace moebench
