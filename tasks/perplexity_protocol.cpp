#include "tasks/perplexity_protocol.h"

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "harness/text/corpus.h"
#include "harness/text/pair_encoding.h"
#include "harness/text/text_file.h"

namespace moebench {
namespace {

// get_c4_new of GPTQ's datautils.py: ' '.join(valdata[:1100]['text']), then input_ids[:, :(256 * seqlen)].
constexpr size_t kC4Documents = 1100;
constexpr int64_t kC4Windows = 256;

ScoredText read_gptq(const std::filesystem::path& file, const PerplexityOptions& options, const Tokenizer& tokenizer) {
  ScoredText text{.ids = token_ids(read_corpus(file), tokenizer)};
  text.windows = side_by_side_windows(std::ssize(text.ids), options.window, options.max_windows);
  return text;
}

// Hugging Face's guide to the sliding window joins documents as GPTQ's loaders do.
ScoredText read_strided(const std::filesystem::path& file, const PerplexityOptions& options,
                        const Tokenizer& tokenizer) {
  ScoredText text{.ids = token_ids(read_corpus(file), tokenizer)};
  text.windows = sliding_windows(std::ssize(text.ids), options.window, options.stride, options.max_windows);
  return text;
}

ScoredText read_c4_new(const std::filesystem::path& file, const PerplexityOptions& options,
                       const Tokenizer& tokenizer) {
  if (!is_json_lines(file)) {
    throw std::invalid_argument(
        "c4-new joins the documents of a .jsonl or .json, which may be gzipped; choose the "
        "protocol gptq for other files");
  }
  std::vector<std::string> documents = read_corpus(file).documents;
  documents.resize(std::min(documents.size(), kC4Documents));
  ScoredText text{.ids = tokenizer.encode_with_defaults(joined(documents, " "))};
  text.ids.resize(std::min(text.ids.size(), static_cast<size_t>(kC4Windows * options.window)));
  text.windows = side_by_side_windows(std::ssize(text.ids), options.window, options.max_windows);
  return text;
}

// The bytes of the file without a last newline, which llama.cpp's option -f drops. It knows no .jsonl: those are what
// their documents joined by a blank line would be as a file.
std::string llamacpp_prompt(const std::filesystem::path& file) {
  if (is_json_lines(file)) return joined(read_corpus(file).documents, "\n\n");
  std::string text = read_text_file(file);
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

// Function perplexity of llama.cpp's tools/perplexity/perplexity.cpp: special tokens in the text are text, BOS goes
// before the stream and then over the first token of every window.
ScoredText read_llamacpp(const std::filesystem::path& file, const PerplexityOptions& options,
                         const Tokenizer& tokenizer) {
  ScoredText text{.ids = tokenizer.encode(llamacpp_prompt(file), SpecialTokens::kPlainText)};
  const std::optional<int32_t> bos = added_bos(tokenizer);
  if (bos) text.ids.insert(text.ids.begin(), *bos);
  text.windows = second_half_windows(std::ssize(text.ids), options.window, options.max_windows);
  if (bos) {
    for (const TextWindow& window : text.windows) text.ids[static_cast<size_t>(window.begin)] = *bos;
  }
  return text;
}

}  // namespace

std::string protocol_name(const PerplexityOptions& options) {
  const std::string name = options.protocol + "-" + std::to_string(options.window);
  return options.protocol == "strided" ? name + "-" + std::to_string(options.stride) : name;
}

void check_protocol_options(const PerplexityOptions& options) {
  check_window_options("perplexity", options.window, options.max_windows);
  if (options.protocol == "llamacpp" && options.window < 3) {
    throw std::invalid_argument("perplexity: option 'window' must be at least 3 with llamacpp, not " +
                                std::to_string(options.window));
  }
  if (options.protocol == "strided" && (options.stride < 1 || options.stride > options.window)) {
    throw std::invalid_argument("perplexity: option 'stride' must be 1 to window = " + std::to_string(options.window) +
                                ", not " + std::to_string(options.stride));
  }
}

ScoredText read_scored_text(const std::filesystem::path& file, const PerplexityOptions& options,
                            const Tokenizer& tokenizer, int64_t num_positions) try {
  check_positions(options.window, num_positions);
  if (options.protocol == "strided") return read_strided(file, options, tokenizer);
  if (options.protocol == "llamacpp") return read_llamacpp(file, options, tokenizer);
  if (options.protocol == "c4-new") return read_c4_new(file, options, tokenizer);
  return read_gptq(file, options, tokenizer);
} catch (const std::invalid_argument& error) {
  throw std::invalid_argument("perplexity of " + file.string() + ": " + error.what());
}

}  // namespace moebench
