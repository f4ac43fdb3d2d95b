// Text files as token streams and windows: what is calibrated on and what perplexity is measured on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <ATen/core/Tensor.h>

#include "harness/text/tokenizer.h"

namespace moebench {

struct Corpus {
  std::string name;                    // file name without extension
  std::vector<std::string> documents;  // never empty
  std::string content_hash;            // of the file's bytes, decompressed
};

// JSON lines (see is_json_lines): the field "text" of every line, split at '\n' only; .raw: WikiText rows (a blank line
// is the row ""); anything else: the whole file is one document. All may be gzipped, with .gz behind their ending.
// Throws std::runtime_error naming file, line and field: not UTF-8, no text at all, more than 1 GiB of it, a line that
// is not JSON or lacks the field. Blank lines of JSON lines are skipped.
Corpus read_corpus(const std::filesystem::path& path);

// By its ending: .jsonl, or .json, as C4 calls its own; either may be gzipped.
bool is_json_lines(const std::filesystem::path& path);

// "c4" for c4.jsonl.gz: what read_corpus calls it.
std::string text_name(const std::filesystem::path& path);

// Where the text of that name lies: an existing file is itself; otherwise a name is looked for in the folder
// $MOEBENCH_DATA (which --data sets), then among the texts of scripts/fetch. "wikitext2" is the test half of
// WikiText-2 raw, "wikitext2-validation" its validation half, any other NAME a file NAME.jsonl, NAME.jsonl.gz or
// NAME.txt. Throws std::runtime_error that says where it looked.
std::filesystem::path find_text(const std::string& name_or_path);

// read_corpus(find_text(...)), called by the name that it was asked for, so that metrics read "wikitext2/...".
Corpus read_named_corpus(const std::string& name_or_path);

struct NamedText {
  std::string name;
  std::filesystem::path path;
};

// A folder's text files (.jsonl, .json, .raw, .txt, each perhaps gzipped) by name in ascending order, called
// "<folder>/<text_name>"; of anything else the one text that find_text finds, called as read_named_corpus calls it.
// Throws std::runtime_error as find_text does, for a folder without such files, and for two files of one name.
std::vector<NamedText> find_texts(const std::string& name_or_path);

// Whether find_texts looks for a folder's: its path has a '/', for a bare name is a text's.
bool is_text_folder(const std::string& name_or_path);

// "domains" for "texts/domains/".
std::string folder_name(const std::filesystem::path& folder);

// documents, never empty, with the separator between them.
std::string joined(const std::vector<std::string>& documents, std::string_view separator);

// Documents joined by "\n\n" and tokenised once with the tokenizer's defaults: the convention of GPTQ's loaders.
std::vector<int32_t> token_ids(const Corpus& corpus, const Tokenizer& tokenizer);

// The same, [num_tokens] int64.
at::Tensor token_stream(const Corpus& corpus, const Tokenizer& tokenizer);

// num_windows random windows of the stream, as the published loaders draw them: Python's random.seed(seed), then
// randint(0, num_tokens - window - 1) for each. [num_windows, window] int64. Throws std::invalid_argument if the stream
// is shorter than one window + 1.
at::Tensor random_windows(const at::Tensor& stream, int64_t num_windows, int64_t window, uint64_t seed);

// The same text never calibrates and measures unmarked: share of the documents' lines (of at least 32 characters)
// of `measured` that also stand in `calibrated`, 0 to 1.
double overlap(const Corpus& calibrated, const Corpus& measured);

}  // namespace moebench
