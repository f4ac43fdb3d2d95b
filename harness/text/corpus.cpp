#include "harness/text/corpus.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <unordered_set>

#include <ATen/ATen.h>
#include <nlohmann/json.hpp>

#include "harness/content_hash.h"
#include "harness/text/python_random.h"
#include "harness/text/text_file.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

constexpr std::string_view kBlank = " \t\r\n\v\f";

// Split at '\n' only: texts hold U+2028, U+0085 and other line separators. The last line may lack its '\n'.
std::vector<std::string_view> lines_with_ends(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t length = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.push_back(text.substr(0, length));
    text.remove_prefix(length);
  }
  return lines;
}

bool is_blank(std::string_view line) { return line.find_first_not_of(kBlank) == std::string_view::npos; }

std::vector<std::string> read_wikitext_rows(std::string_view text) {
  std::vector<std::string> rows;
  for (const std::string_view line : lines_with_ends(text)) rows.emplace_back(is_blank(line) ? "" : line);
  return rows;
}

std::string text_field(std::string_view line) {
  const nlohmann::json record = nlohmann::json::parse(line, nullptr, false);
  if (record.is_discarded()) throw std::runtime_error("is not JSON");
  if (!record.is_object() || !record.contains("text")) throw std::runtime_error("has no field 'text'");
  if (!record["text"].is_string()) throw std::runtime_error("field 'text' is not a string");
  return record["text"].get<std::string>();
}

std::vector<std::string> read_json_lines(const std::filesystem::path& path, std::string_view text) {
  std::vector<std::string> documents;
  int64_t number = 0;
  for (const std::string_view line : lines_with_ends(text)) {
    ++number;
    if (is_blank(line)) continue;
    try {
      documents.push_back(text_field(line));
    } catch (const std::runtime_error& error) {
      throw std::runtime_error(path.string() + ": line " + std::to_string(number) + " " + error.what() +
                               R"(; every line must be an object like {"text": "..."})");
    }
  }
  return documents;
}

std::filesystem::path without_gz(const std::filesystem::path& path) {
  return path.extension() == ".gz" ? path.stem() : path.filename();
}

std::string_view trim(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  return line.substr(0, line.find_last_not_of(kBlank) + 1);
}

// Lines worth comparing: shorter ones recur by chance.
std::vector<std::string_view> long_lines(const Corpus& corpus) {
  constexpr size_t kMinCharacters = 32;
  std::vector<std::string_view> lines;
  for (const std::string& document : corpus.documents) {
    for (const std::string_view line : lines_with_ends(document)) {
      const std::string_view trimmed = trim(line);
      if (count_characters(trimmed) >= kMinCharacters) lines.push_back(trimmed);
    }
  }
  return lines;
}

}  // namespace

Corpus read_corpus(const std::filesystem::path& path) {
  const std::string text = read_text_file(path);
  Corpus corpus{.name = text_name(path), .content_hash = content_hash(std::string_view(text))};
  if (is_json_lines(path)) {
    corpus.documents = read_json_lines(path, text);
  } else if (without_gz(path).extension() == ".raw") {
    corpus.documents = read_wikitext_rows(text);
  } else {
    corpus.documents.push_back(text);
  }
  if (std::all_of(corpus.documents.begin(), corpus.documents.end(), is_blank)) {
    throw std::runtime_error(path.string() + ": holds no text");
  }
  return corpus;
}

bool is_json_lines(const std::filesystem::path& path) {
  const std::filesystem::path ending = without_gz(path).extension();
  return ending == ".jsonl" || ending == ".json";
}

std::string text_name(const std::filesystem::path& path) { return without_gz(path).stem().string(); }

std::string joined(const std::vector<std::string>& documents, std::string_view separator) {
  std::string text = documents.front();
  for (size_t document = 1; document < documents.size(); ++document) {
    text += separator;
    text += documents[document];
  }
  return text;
}

std::vector<int32_t> token_ids(const Corpus& corpus, const Tokenizer& tokenizer) {
  return tokenizer.encode_with_defaults(joined(corpus.documents, "\n\n"));
}

at::Tensor token_stream(const Corpus& corpus, const Tokenizer& tokenizer) {
  const std::vector<int32_t> ids = token_ids(corpus, tokenizer);
  return at::tensor(at::ArrayRef<int32_t>(ids), at::kInt).to(at::kLong);
}

at::Tensor random_windows(const at::Tensor& stream, int64_t num_windows, int64_t window, uint64_t seed) {
  if (num_windows < 1 || window < 1) throw std::invalid_argument("random_windows: needs at least one window and token");
  const int64_t last_start = stream.size(0) - window - 1;
  if (last_start < 0) {
    throw std::invalid_argument("the text has " + std::to_string(stream.size(0)) +
                                " tokens, fewer than one window of " + std::to_string(window) +
                                " and one more; choose a shorter window or a longer text");
  }
  PythonRandom random(seed);
  std::vector<at::Tensor> windows;
  for (int64_t index = 0; index < num_windows; ++index) {
    windows.push_back(stream.narrow(0, random.randint(0, last_start), window));
  }
  return at::stack(windows);
}

double overlap(const Corpus& calibrated, const Corpus& measured) {
  const std::vector<std::string_view> known = long_lines(calibrated), asked = long_lines(measured);
  if (asked.empty()) return 0;
  const std::unordered_set<std::string_view> seen(known.begin(), known.end());
  const auto shared =
      std::count_if(asked.begin(), asked.end(), [&](std::string_view line) { return seen.contains(line); });
  return static_cast<double>(shared) / static_cast<double>(asked.size());
}

}  // namespace moebench
