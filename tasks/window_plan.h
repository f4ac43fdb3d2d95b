// Which tokens of a stream are scored in which window: GPTQ's windows, a sliding window, llama.cpp's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace moebench {

// Positions in the stream. Tokens [first_scored, end) are scored, each given all of [begin, itself).
struct TextWindow {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t first_scored = 0;
};

// What can be said of a task's options before there is a text. Throws std::invalid_argument naming task and option.
void check_window_options(const std::string& task, int64_t window, int64_t max_windows);

// Throws std::invalid_argument if the model has fewer positions than a window has tokens.
void check_positions(int64_t window, int64_t num_positions);

// GPTQ: windows side by side, the remainder dropped; the first token of a window is never predicted.
// max_windows: 0 = all. Throws std::invalid_argument if there are not num_tokens for one window, or window < 2.
std::vector<TextWindow> side_by_side_windows(int64_t num_tokens, int64_t window, int64_t max_windows);

// The sliding window of Hugging Face's perplexity guide: each window begins stride tokens after the last one and
// scores only what no earlier window reached, so every token but the first is scored once; the last window may be
// shorter. stride: 1 to window. Throws std::invalid_argument as above.
std::vector<TextWindow> sliding_windows(int64_t num_tokens, int64_t window, int64_t stride, int64_t max_windows);

// llama.cpp's perplexity tool (tools/perplexity/perplexity.cpp, function perplexity): windows side by side, the
// remainder dropped; scored is what follows the first token of a window's second half, window - window / 2 - 1 tokens.
// Throws std::invalid_argument if there are not num_tokens for two windows, as llama.cpp asks for, or window < 3.
std::vector<TextWindow> second_half_windows(int64_t num_tokens, int64_t window, int64_t max_windows);

}  // namespace moebench
