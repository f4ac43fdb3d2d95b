// Requests that begin alike, as a tree of token runs: what they share is computed once.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "harness/model/token_run.h"
#include "harness/scoring/window_scorer.h"

namespace moebench {

struct RequestRun : TokenRun {
  RequestRun* parent = nullptr;  // before, as what it is
  int64_t depth = 0;             // how many it continues
  at::Tensor hidden;             // [T, D], once it is computed
};

struct RequestTree {
  std::deque<RequestRun> runs;         // parents before children
  std::vector<RequestRun*> last_runs;  // of each request: the run with its last fed token
};

// What requests feed (all ids but the last), cut into runs where at least two of them part after at least fewest_shared
// tokens in common; 0: nothing is shared. requests: in ascending order of their ids.
RequestTree make_request_tree(std::span<const ScoreRequest* const> requests, int64_t fewest_shared);

}  // namespace moebench
