// The same items of two runs, as scores that can be compared.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "harness/metric.h"
#include "results/paired_comparison.h"

namespace moebench {

enum class ItemScore {
  kRight,  // 1 or 0
  kNll,    // nats per token, or whatever the item counts
};

// How far the items' log-likelihoods moved, whichever way: |nll of the one - nll of the other|, nats an item (of
// multiple choice the right answer's).
struct NllDrift {
  double mean = 0, largest = 0;
};

struct PairedItems {
  ItemScore score = ItemScore::kRight;
  PairedScores scores;
  double base = 0, candidate = 0;  // the means: the share that is right, or all nats over all tokens
  std::optional<NllDrift> drift;   // none where items have no likelihood, as generated text
  int64_t only_base = 0, only_candidate = 0;
  std::string obstacle;  // why they cannot be compared; "" if they can
};

// By the name of their metric, those that either has. Items are the same if their ids are. A nll of unequal tokens is
// linearised: of n items with t_i tokens, mean t and ratio r = sum nll / sum t, the score is r + (nll_i - r t_i) / t.
// Its mean is r, and the error of that mean the ratio estimator's. Items that are all of one cluster count by
// themselves.
std::map<std::string, PairedItems> pair_items(const std::vector<Item>& base, const std::vector<Item>& candidate);

}  // namespace moebench
