#include "harness/scoring/request_tree.h"

#include <algorithm>
#include <random>
#include <set>

#include <gtest/gtest.h>

namespace moebench {
namespace {

using Ids = std::vector<int64_t>;

// Few different tokens, so that texts part everywhere; some are beginnings of others, some the same.
std::vector<ScoreRequest> random_requests(uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<ScoreRequest> requests;
  for (int request = 0; request < 60; ++request) {
    Ids ids(2 + random() % 9);
    for (int64_t& id : ids) id = random() % 2;
    requests.push_back({ids});
  }
  std::sort(requests.begin(), requests.end(), [](const ScoreRequest& one, const ScoreRequest& other) {
    return std::lexicographical_compare(one.ids.begin(), one.ids.end() - 1, other.ids.begin(), other.ids.end() - 1);
  });
  return requests;
}

std::vector<const ScoreRequest*> pointers(const std::vector<ScoreRequest>& requests) {
  std::vector<const ScoreRequest*> result;
  for (const ScoreRequest& request : requests) result.push_back(&request);
  return result;
}

Ids text_of(const RequestRun* run) {
  Ids text;
  for (; run != nullptr; run = run->parent) text.insert(text.begin(), run->ids.begin(), run->ids.end());
  return text;
}

int64_t count_tokens(const RequestTree& tree) {
  int64_t tokens = 0;
  for (const RequestRun& run : tree.runs) tokens += run.num_tokens();
  return tokens;
}

TEST(RequestTreeTest, EveryRequestsRunsSpellWhatItFeeds) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const std::vector<ScoreRequest> requests = random_requests(seed);
    for (const int64_t fewest_shared : {0, 1, 2, 5}) {
      const RequestTree tree = make_request_tree(pointers(requests), fewest_shared);
      ASSERT_EQ(tree.last_runs.size(), requests.size());
      for (size_t request = 0; request < requests.size(); ++request) {
        EXPECT_EQ(text_of(tree.last_runs[request]),
                  Ids(requests[request].ids.begin(), requests[request].ids.end() - 1));
      }
    }
  }
}

TEST(RequestTreeTest, OfSharedBeginningsEveryTokenStandsOnce) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const std::vector<ScoreRequest> requests = random_requests(seed);
    std::set<Ids> beginnings;
    for (const ScoreRequest& request : requests) {
      for (auto end = request.ids.begin() + 1; end != request.ids.end(); ++end)
        beginnings.insert({request.ids.begin(), end});
    }
    EXPECT_EQ(count_tokens(make_request_tree(pointers(requests), 1)), std::ssize(beginnings));
  }
}

TEST(RequestTreeTest, ShorterBeginningsThanAskedForAreNotShared) {
  const std::vector<ScoreRequest> requests = {{{1, 2, 3, 4, 0}}, {{1, 2, 3, 5, 0}}};
  EXPECT_EQ(count_tokens(make_request_tree(pointers(requests), 3)), 5);
  EXPECT_EQ(count_tokens(make_request_tree(pointers(requests), 4)), 8);
}

}  // namespace
}  // namespace moebench
