#include "tasks/window_plan.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace moebench {
namespace {

void check(int64_t num_tokens, int64_t window, int64_t max_windows) {
  if (window < 2) throw std::invalid_argument("window " + std::to_string(window) + " is too short; choose 2 or more");
  if (max_windows < 0) {
    throw std::invalid_argument("max_windows " + std::to_string(max_windows) + " is negative; 0 means all");
  }
  if (num_tokens < window) {
    throw std::invalid_argument("the text has " + std::to_string(num_tokens) + " tokens, fewer than one window of " +
                                std::to_string(window) + "; choose a longer text or a shorter window");
  }
}

bool is_enough(const std::vector<TextWindow>& windows, int64_t max_windows) {
  return max_windows > 0 && static_cast<int64_t>(windows.size()) == max_windows;
}

}  // namespace

void check_window_options(const std::string& task, int64_t window, int64_t max_windows) {
  if (window < 2) {
    throw std::invalid_argument(task + ": option 'window' must be at least 2, not " + std::to_string(window));
  }
  if (max_windows < 0) {
    throw std::invalid_argument(task + ": option 'max_windows' must not be negative (0 = all), not " +
                                std::to_string(max_windows));
  }
}

void check_positions(int64_t window, int64_t num_positions) {
  if (window <= num_positions) return;
  throw std::invalid_argument("window " + std::to_string(window) + " is longer than the model's " +
                              std::to_string(num_positions) + " positions");
}

std::vector<TextWindow> side_by_side_windows(int64_t num_tokens, int64_t window, int64_t max_windows) {
  check(num_tokens, window, max_windows);
  std::vector<TextWindow> windows;
  for (int64_t begin = 0; begin + window <= num_tokens && !is_enough(windows, max_windows); begin += window) {
    windows.push_back({begin, begin + window, begin + 1});
  }
  return windows;
}

std::vector<TextWindow> sliding_windows(int64_t num_tokens, int64_t window, int64_t stride, int64_t max_windows) {
  check(num_tokens, window, max_windows);
  if (stride < 1 || stride > window) {
    throw std::invalid_argument("stride " + std::to_string(stride) + " is not between 1 and the window of " +
                                std::to_string(window));
  }
  std::vector<TextWindow> windows;
  int64_t reached = 0;
  for (int64_t begin = 0; reached < num_tokens && !is_enough(windows, max_windows); begin += stride) {
    const int64_t end = std::min(begin + window, num_tokens);
    // A window's own first token has no context. (With stride = window nothing else ever sees it.)
    const int64_t first_scored = std::max(reached, begin + 1);
    if (first_scored < end) windows.push_back({begin, end, first_scored});
    reached = end;
  }
  return windows;
}

std::vector<TextWindow> second_half_windows(int64_t num_tokens, int64_t window, int64_t max_windows) {
  if (window < 3) {
    throw std::invalid_argument(
        "window " + std::to_string(window) +
        " is too short: llama.cpp scores the second half but for its first token; choose 3 or more");
  }
  if (num_tokens < 2 * window) {
    throw std::invalid_argument("the text has " + std::to_string(num_tokens) +
                                " tokens, fewer than the two windows of " + std::to_string(window) +
                                " that llama.cpp asks for; choose a longer text or a shorter window");
  }
  std::vector<TextWindow> windows = side_by_side_windows(num_tokens, window, max_windows);
  for (TextWindow& each : windows) each.first_scored = each.begin + window / 2 + 1;
  return windows;
}

}  // namespace moebench
