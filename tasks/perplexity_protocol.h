// What each protocol of perplexity makes of a text: one stream of tokens, and the windows of it that are scored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/text/tokenizer.h"
#include "tasks/window_plan.h"

namespace moebench {

struct PerplexityOptions {
  std::string text = "wiki-passages-test";
  std::string protocol = "gptq";
  int64_t window = 0;  // once visited and not given, the protocol's own
  int64_t stride = 512;
  int64_t max_windows = 0;

  void for_each(auto&& visit) {
    visit("text", text,
          "a file (.jsonl, .raw or plain text), the name of a known text, or a folder (with a / in its path) each text "
          "file of which is a domain");
    visit(
        "protocol", protocol,
        "gptq: rows or documents joined by a blank line, windows side by side, the remainder dropped; strided: the "
        "same text, a sliding window that scores only new tokens; llamacpp: llama.cpp's perplexity tool, a file as it "
        "is, windows side by side that begin with BOS if the tokenizer adds it, of which the second half is scored; "
        "c4-new: GPTQ's and Wanda's C4, the first 1100 documents of a .jsonl joined by a space, of that the first 256 "
        "windows as in gptq",
        {"gptq", "strided", "llamacpp", "c4-new"});
    // Only here is the protocol known, which parsing has just read.
    if (window == 0) window = protocol == "llamacpp" ? 512 : 2048;
    visit("window", window, "tokens of a window; llamacpp's own is 512");
    visit("stride", stride, "tokens a sliding window advances (strided only)");
    visit("max_windows", max_windows, "measure only the first so many windows of each file; 0 = all");
  }
};

// "gptq-2048", "strided-2048-512", "llamacpp-512", "c4-new-2048": what the metrics of these options are called by.
std::string protocol_name(const PerplexityOptions& options);

// Throws std::invalid_argument naming the option that no text could fit.
void check_protocol_options(const PerplexityOptions& options);

struct ScoredText {
  std::vector<int32_t> ids;         // of the whole text, as far as the protocol reads it
  std::vector<TextWindow> windows;  // of ids
};

// num_positions: the model's. Throws std::runtime_error as read_corpus does, and std::invalid_argument naming the file
// if it is too short, is not of documents where the protocol needs them, or a window is longer than num_positions.
ScoredText read_scored_text(const std::filesystem::path& file, const PerplexityOptions& options,
                            const Tokenizer& tokenizer, int64_t num_positions);

}  // namespace moebench
