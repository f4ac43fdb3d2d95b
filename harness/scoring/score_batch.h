// The CPU's way of scoring: requests cut into runs, runs packed for threads that each compute alone.
#pragma once

#include <span>
#include <vector>

#include "harness/scoring/window_scorer.h"

namespace moebench {

// One result per request. Requests are in ascending order of what they feed, and valid.
std::vector<TokenScores> score_batch(const LlamaModel& model, std::span<const ScoreRequest* const> requests,
                                     const ScoringPlan& plan);

}  // namespace moebench
