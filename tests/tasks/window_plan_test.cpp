#include "tasks/window_plan.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace moebench {
namespace {

// How often each position of the stream is scored.
std::map<int64_t, int> times_scored(const std::vector<TextWindow>& windows) {
  std::map<int64_t, int> times;
  for (const TextWindow& window : windows) {
    for (int64_t token = window.first_scored; token < window.end; ++token) ++times[token];
  }
  return times;
}

// The loop of Hugging Face's perplexity guide, in its own words: labels before the last trg_len tokens are masked, and
// the model's own shift drops the label of a window's first token.
std::map<int64_t, int> scored_by_the_guide(int64_t seq_len, int64_t max_length, int64_t stride) {
  std::map<int64_t, int> times;
  int64_t prev_end_loc = 0;
  for (int64_t begin_loc = 0; begin_loc < seq_len; begin_loc += stride) {
    const int64_t end_loc = std::min(begin_loc + max_length, seq_len);
    const int64_t trg_len = end_loc - prev_end_loc;
    for (int64_t label = begin_loc + 1; label < end_loc; ++label) {
      if (label >= end_loc - trg_len) ++times[label];
    }
    prev_end_loc = end_loc;
    if (end_loc == seq_len) break;
  }
  return times;
}

// The loops of llama.cpp's tool in its own words: of the n_ctx - 1 - first logits from row `first` of a chunk on, row i
// predicts token i + 1.
std::map<int64_t, int> scored_by_llamacpp(int64_t num_tokens, int64_t n_ctx) {
  std::map<int64_t, int> times;
  const int64_t first = n_ctx / 2;
  const int64_t n_chunk = num_tokens / n_ctx;
  for (int64_t chunk = 0; chunk < n_chunk; ++chunk) {
    const int64_t tokens_data = chunk * n_ctx + first;
    for (int64_t i = 0; i < n_ctx - 1 - first; ++i) ++times[tokens_data + i + 1];
  }
  return times;
}

std::string refusal(int64_t num_tokens, int64_t window, int64_t stride, int64_t max_windows) {
  try {
    sliding_windows(num_tokens, window, stride, max_windows);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

TEST(WindowPlanTest, SideBySideWindowsScoreAllButTheirFirstTokenAndDropTheRemainder) {
  for (const int64_t num_tokens : {4, 7, 8, 9, 23}) {
    std::map<int64_t, int> expected;
    for (int64_t token = 0; token < num_tokens / 4 * 4; ++token) {
      if (token % 4 != 0) expected[token] = 1;
    }
    EXPECT_EQ(times_scored(side_by_side_windows(num_tokens, 4, 0)), expected) << num_tokens;
  }
}

TEST(WindowPlanTest, SlidingWindowsScoreWhatTheGuideScores) {
  for (int64_t num_tokens = 6; num_tokens < 40; ++num_tokens) {
    for (int64_t stride = 1; stride <= 6; ++stride) {
      EXPECT_EQ(times_scored(sliding_windows(num_tokens, 6, stride, 0)), scored_by_the_guide(num_tokens, 6, stride))
          << num_tokens << " tokens, stride " << stride;
    }
  }
}

TEST(WindowPlanTest, OverlappingWindowsScoreEveryTokenButTheFirstOnce) {
  for (int64_t num_tokens = 6; num_tokens < 40; ++num_tokens) {
    for (int64_t stride = 1; stride < 6; ++stride) {
      const std::map<int64_t, int> times = times_scored(sliding_windows(num_tokens, 6, stride, 0));
      EXPECT_EQ(static_cast<int64_t>(times.size()), num_tokens - 1);
      EXPECT_THAT(times, testing::Each(testing::Pair(testing::Ge(1), 1)));
    }
  }
}

TEST(WindowPlanTest, ASlidingWindowKeepsWindowMinusStrideTokensOfHistory) {
  const std::vector<TextWindow> windows = sliding_windows(100, 16, 5, 0);
  for (size_t window = 1; window < windows.size(); ++window) {
    EXPECT_EQ(windows[window].first_scored - windows[window].begin, 11);
  }
}

TEST(WindowPlanTest, AWindowIsNeverLongerThanAsked) {
  for (const TextWindow& window : sliding_windows(101, 16, 5, 0)) EXPECT_LE(window.end - window.begin, 16);
}

TEST(WindowPlanTest, MaxWindowsKeepsTheFirstOnes) {
  EXPECT_EQ(times_scored(side_by_side_windows(100, 4, 2)), times_scored(side_by_side_windows(8, 4, 0)));
  EXPECT_EQ(times_scored(sliding_windows(100, 6, 2, 3)), times_scored(sliding_windows(10, 6, 2, 0)));
}

TEST(WindowPlanTest, SecondHalfWindowsScoreWhatLlamacppScores) {
  for (const int64_t window : {3, 4, 5, 8}) {
    for (int64_t num_tokens = 2 * window; num_tokens < 5 * window; ++num_tokens) {
      const std::vector<TextWindow> windows = second_half_windows(num_tokens, window, 0);
      EXPECT_EQ(times_scored(windows), scored_by_llamacpp(num_tokens, window)) << num_tokens << " by " << window;
      for (const TextWindow& each : windows) {
        EXPECT_EQ(each.begin % window, 0);
        EXPECT_EQ(each.end - each.begin, window);
      }
    }
  }
  EXPECT_EQ(times_scored(second_half_windows(100, 8, 3)), scored_by_llamacpp(24, 8));
}

TEST(WindowPlanTest, RefusesWhatHasNoSecondHalf) {
  EXPECT_THAT([] { second_half_windows(15, 8, 0); }, testing::ThrowsMessage<std::invalid_argument>(
                                                         testing::HasSubstr("15 tokens, fewer than the two windows")));
  EXPECT_THAT([] { second_half_windows(15, 2, 0); },
              testing::ThrowsMessage<std::invalid_argument>(testing::HasSubstr("window 2 is too short")));
}

TEST(WindowPlanTest, RefusesWhatCannotBeCut) {
  EXPECT_THAT(refusal(5, 6, 2, 0), testing::HasSubstr("5 tokens, fewer than one window of 6"));
  EXPECT_THAT(refusal(50, 1, 1, 0), testing::HasSubstr("window 1 is too short"));
  EXPECT_THAT(refusal(50, 6, 0, 0), testing::HasSubstr("stride 0 is not between 1 and the window of 6"));
  EXPECT_THAT(refusal(50, 6, 7, 0), testing::HasSubstr("stride 7"));
  EXPECT_THAT(refusal(50, 6, 2, -1), testing::HasSubstr("max_windows -1 is negative"));
  EXPECT_THROW(side_by_side_windows(5, 6, 0), std::invalid_argument);
}

}  // namespace
}  // namespace moebench
