// Reads the vocabulary of a GGUF file. It says less than tokenizer.json: what is missing (pattern, normaliser, decoder)
// follows from the names in tokenizer.ggml.model and .pre, as the model's own tokenizer.json has it.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <stdexcept>
#include <unordered_map>

#include "harness/checkpoint/gguf.h"
#include "harness/checkpoint/utf8.h"
#include "harness/text/tokenizer_spec.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

using nlohmann::json;

// ggml's llama_token_type.
enum TokenType : int64_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

constexpr char kLlama3Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kQwen2Pattern[] =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr char kTekkenPattern[] = R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
                                  R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
                                  R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

// What tokenizer.ggml.pre implies.
struct PreTokenizerName {
  const char* name;
  bool digits_first;    // every digit on its own before anything else
  const char* pattern;  // null: GPT-2's, which ByteLevel has built in
  bool ignore_merges;
  bool nfc;
  bool add_bos;  // where the file does not say
};
constexpr std::array kPreTokenizers = {
    PreTokenizerName{"gpt-2", false, nullptr, false, false, false},
    PreTokenizerName{"smollm", true, nullptr, false, false, false},
    PreTokenizerName{"llama-bpe", false, kLlama3Pattern, true, false, true},
    PreTokenizerName{"llama-v3", false, kLlama3Pattern, true, false, true},
    PreTokenizerName{"llama3", false, kLlama3Pattern, true, false, true},
    PreTokenizerName{"qwen2", false, kQwen2Pattern, false, true, false},
    PreTokenizerName{"tekken", false, kTekkenPattern, true, false, true},
};

const PreTokenizerName& find_pre_tokenizer(const GgufFile& file) {
  const auto name = file.find_string("tokenizer.ggml.pre");
  std::string known;
  for (const PreTokenizerName& candidate : kPreTokenizers) {
    if (name == candidate.name) return candidate;
    known += std::string(" ") + candidate.name;
  }
  throw std::runtime_error("tokenizer.ggml.pre " + (name ? "'" + std::string(*name) + "'" : "(missing)") +
                           " is not supported; known:" + known +
                           "; use the model's Hugging Face directory with tokenizer.json instead");
}

json pre_tokenizer_json(const PreTokenizerName& name) {
  json steps = json::array();
  if (name.digits_first) steps.push_back({{"type", "Digits"}, {"individual_digits", true}});
  if (name.pattern != nullptr) {
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", name.pattern}}}, {"behavior", "Isolated"}});
  }
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", name.pattern == nullptr}});
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

template <class Values>
Values required(std::optional<Values> values, const char* key) {
  if (!values) throw std::runtime_error(std::string(key) + " is missing; the file has no tokenizer");
  return std::move(*values);
}

void read_tokens(const GgufFile& file, TokenizerSpec& spec) {
  const auto tokens = required(file.find_strings("tokenizer.ggml.tokens"), "tokenizer.ggml.tokens");
  if (tokens.empty() || static_cast<int64_t>(tokens.size()) > kMaxVocabularySize) {
    throw std::runtime_error("tokenizer.ggml.tokens: " + std::to_string(tokens.size()) + " tokens; must be 1 to " +
                             std::to_string(kMaxVocabularySize));
  }
  for (const std::string_view token : tokens) {
    require_utf8(token, "tokenizer.ggml.tokens[" + std::to_string(spec.tokens.size()) + "]");
    spec.tokens.emplace_back(token);
  }
}

std::vector<int64_t> token_types(const GgufFile& file, size_t num_tokens) {
  auto types = required(file.find_integers("tokenizer.ggml.token_type"), "tokenizer.ggml.token_type");
  if (types.size() != num_tokens) {
    throw std::runtime_error("tokenizer.ggml.token_type: " + std::to_string(types.size()) + " types for " +
                             std::to_string(num_tokens) + " tokens");
  }
  return types;
}

void read_added_tokens(const std::vector<int64_t>& types, TokenizerSpec& spec) {
  for (size_t id = 0; id < types.size(); ++id) {
    const bool special = types[id] == kControl || types[id] == kUnknown;
    if (spec.tokens[id].empty() || (!special && types[id] != kUserDefined)) continue;
    spec.added_tokens.push_back(
        {.content = spec.tokens[id], .id = static_cast<int32_t>(id), .special = special, .normalized = false});
  }
}

std::optional<int32_t> id_field(const GgufFile& file, const std::string& key, const TokenizerSpec& spec) {
  const auto id = file.find_integer(key);
  if (!id) return std::nullopt;
  if (*id < 0 || *id >= static_cast<int64_t>(spec.tokens.size())) {
    throw std::runtime_error(key + ": " + std::to_string(*id) + " is not one of the " +
                             std::to_string(spec.tokens.size()) + " tokens");
  }
  return static_cast<int32_t>(*id);
}

void read_bos_and_eos(const GgufFile& file, bool add_bos, TokenizerSpec& spec) {
  spec.bos_id = id_field(file, "tokenizer.ggml.bos_token_id", spec);
  spec.eos_id = id_field(file, "tokenizer.ggml.eos_token_id", spec);
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"}) {  // of a text, of a turn
    if (const auto id = id_field(file, key, spec)) spec.eos_ids.push_back(*id);
  }
  if (file.find_bool("tokenizer.ggml.add_bos_token").value_or(add_bos)) {
    spec.prefix.push_back(required(spec.bos_id, "tokenizer.ggml.bos_token_id"));
  }
  if (file.find_bool("tokenizer.ggml.add_eos_token").value_or(false)) {
    spec.suffix.push_back(required(spec.eos_id, "tokenizer.ggml.eos_token_id"));
  }
}

using TokenIds = std::unordered_map<std::string_view, int32_t>;

TokenIds ids_of(const TokenizerSpec& spec) {
  TokenIds ids;
  for (size_t id = 0; id < spec.tokens.size(); ++id) ids.emplace(spec.tokens[id], static_cast<int32_t>(id));
  return ids;
}

void read_merges(const GgufFile& file, TokenizerSpec& spec) {
  const TokenIds ids = ids_of(spec);
  for (const std::string_view merge : required(file.find_strings("tokenizer.ggml.merges"), "tokenizer.ggml.merges")) {
    const std::string where = "tokenizer.ggml.merges[" + std::to_string(spec.merges.size()) + "]";
    const size_t space = merge.find(' ');
    if (space == std::string_view::npos) throw std::runtime_error(where + ": must be 'left right'");
    const auto id_of = [&](const std::string& token) {
      const auto found = ids.find(token);
      if (found == ids.end()) throw std::runtime_error(where + ": '" + token + "' is not in the vocabulary");
      return found->second;
    };
    const std::string left(merge.substr(0, space)), right(merge.substr(space + 1));
    spec.merges.push_back({id_of(left), id_of(right), id_of(left + right), static_cast<int32_t>(spec.merges.size())});
  }
}

// Byte-level BPE. A byte that the vocabulary lacks is dropped before merging, as tokenizer.json with a null unk_token
// does; the file's unknown_token_id is not for that.
TokenizerSpec read_byte_level(const GgufFile& file) {
  const PreTokenizerName& pre_tokenizer = find_pre_tokenizer(file);
  TokenizerSpec spec;
  read_tokens(file, spec);
  read_added_tokens(token_types(file, spec.tokens.size()), spec);
  read_merges(file, spec);
  read_bos_and_eos(file, pre_tokenizer.add_bos, spec);
  if (pre_tokenizer.nfc) spec.normalizer = {{"type", "NFC"}};
  spec.pre_tokenizer = pre_tokenizer_json(pre_tokenizer);
  spec.decoder = {{"type", "ByteLevel"}};
  spec.ignore_merges = pre_tokenizer.ignore_merges;
  return spec;
}

// Equal scores get equal ranks: SentencePiece merges the leftmost of them first.
std::vector<int32_t> ranks_of(const std::vector<double>& scores) {
  std::map<double, int32_t, std::greater<>> ranks;
  for (const double score : scores) {
    if (!std::isfinite(score)) throw std::runtime_error("tokenizer.ggml.scores: a score is not finite");
    ranks[score] = 0;
  }
  int32_t next = 0;
  for (auto& [score, rank] : ranks) rank = next++;
  std::vector<int32_t> result;
  for (const double score : scores) result.push_back(ranks[score]);
  return result;
}

// SentencePiece joins any two neighbours whose text together is a token: every way to cut a token in two is a merge.
void add_merges_of_scores(const std::vector<double>& scores, const std::vector<int64_t>& types, TokenizerSpec& spec) {
  TokenIds ids;
  for (size_t id = 0; id < types.size(); ++id) {
    if (types[id] == kNormal) ids.emplace(spec.tokens[id], static_cast<int32_t>(id));
  }
  const std::vector<int32_t> ranks = ranks_of(scores);
  for (const auto& [token, id] : ids) {
    for (size_t cut = 0, length = 0; cut < token.size(); cut += length) {
      length = character_length(token[cut]);
      if (!ids.contains(token.substr(cut, length))) {
        throw std::runtime_error("tokenizer.ggml.tokens[" + std::to_string(id) + "]: '" + std::string(token) +
                                 "' has a character that is no token of its own; not supported");
      }
      const auto left = ids.find(token.substr(0, cut)), right = ids.find(token.substr(cut));
      if (cut == 0 || left == ids.end() || right == ids.end()) continue;
      spec.merges.push_back({left->second, right->second, id, ranks[static_cast<size_t>(id)]});
    }
  }
  std::sort(spec.merges.begin(), spec.merges.end(), [](const Merge& one, const Merge& other) {
    return std::tie(one.rank, one.left, one.right) < std::tie(other.rank, other.left, other.right);
  });
}

TokenizerSpec read_sentencepiece(const GgufFile& file) {
  TokenizerSpec spec;
  read_tokens(file, spec);
  const std::vector<int64_t> types = token_types(file, spec.tokens.size());
  const auto scores = required(file.find_numbers("tokenizer.ggml.scores"), "tokenizer.ggml.scores");
  if (scores.size() != spec.tokens.size()) throw std::runtime_error("tokenizer.ggml.scores: not one a token");
  read_added_tokens(types, spec);
  add_merges_of_scores(scores, types, spec);
  read_bos_and_eos(file, true, spec);
  spec.unknown_id = id_field(file, "tokenizer.ggml.unknown_token_id", spec);
  spec.fuse_unknown = spec.byte_fallback = true;
  const bool add_space_prefix = file.find_bool("tokenizer.ggml.add_space_prefix").value_or(true);
  const json to_space = {{"type", "Replace"}, {"pattern", {{"String", "▁"}}}, {"content", " "}};
  const json from_space = {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}};
  json normalizers = json::array();
  json decoders = {to_space, {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (add_space_prefix) {
    normalizers.push_back({{"type", "Prepend"}, {"prepend", "▁"}});
    decoders.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  normalizers.push_back(from_space);
  spec.normalizer = {{"type", "Sequence"}, {"normalizers", normalizers}};
  spec.decoder = {{"type", "Sequence"}, {"decoders", decoders}};
  return spec;
}

}  // namespace

TokenizerSpec read_gguf_tokenizer(const GgufFile& file) {
  const auto model = required(file.find_string("tokenizer.ggml.model"), "tokenizer.ggml.model");
  if (model == "gpt2") return read_byte_level(file);
  if (model == "llama") return read_sentencepiece(file);
  throw std::runtime_error("tokenizer.ggml.model '" + std::string(model) + "' is not supported; known: gpt2 llama");
}

}  // namespace moebench
