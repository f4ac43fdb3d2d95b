#include "harness/text/pre_tokenizer.h"

#include <stdexcept>

#include "harness/text/pattern.h"
#include "harness/text/piece_splitter.h"
#include "harness/text/unicode.h"

namespace moebench {
namespace {

// What GPT-2 cuts by, and ByteLevel with it.
constexpr char kGpt2Pattern[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

// Rewrites every piece: text(piece, index) is its new text.
void rewrite(Pieces& pieces, const std::function<std::string(std::string_view, size_t)>& text) {
  Pieces rewritten{.starts_text = pieces.starts_text};
  rewritten.text.reserve(pieces.text.size() + pieces.spans.size());
  rewritten.spans.reserve(pieces.spans.size());
  for (const Pieces::Span& span : pieces.spans) {
    const size_t begin = rewritten.text.size();
    rewritten.text += text(pieces.view(span), rewritten.spans.size());
    rewritten.spans.push_back({begin, rewritten.text.size()});
  }
  pieces = std::move(rewritten);
}

void prefix_space(Pieces& pieces) {
  rewrite(pieces, [](std::string_view piece, size_t) {
    return piece.starts_with(' ') ? std::string(piece) : " " + std::string(piece);
  });
}

enum class PrependScheme { kAlways, kFirst, kNever };

// Older files say add_prefix_space, newer ones prepend_scheme.
PrependScheme prepend_scheme(const nlohmann::json& json) {
  const std::string where = "pre_tokenizer Metaspace";
  if (json_field(json, "prepend_scheme", where).is_null()) {
    return bool_field(json, "add_prefix_space", true, where) ? PrependScheme::kAlways : PrependScheme::kNever;
  }
  const std::string scheme = string_field(json, "prepend_scheme", where);
  if (scheme == "always") return PrependScheme::kAlways;
  if (scheme == "first") return PrependScheme::kFirst;
  if (scheme == "never") return PrependScheme::kNever;
  throw std::runtime_error(where + ": prepend_scheme '" + scheme + "' is not supported; known: always first never");
}

std::function<void(Pieces&)> metaspace_step(std::string replacement, PrependScheme scheme) {
  return [replacement = std::move(replacement), scheme](Pieces& pieces) {
    RegexSearch spaces(Regex::literal(" "));
    rewrite(pieces, [&](std::string_view piece, size_t index) {
      const bool first = scheme == PrependScheme::kFirst && pieces.starts_text && index == 0;
      std::string text = replace_all(piece, spaces, replacement);
      if ((scheme == PrependScheme::kAlways || first) && !text.starts_with(replacement)) text = replacement + text;
      return text;
    });
  };
}

}  // namespace

PreTokenizer::PreTokenizer(const nlohmann::json& json) {
  if (!json.is_null()) add(json);
}

void PreTokenizer::add(const nlohmann::json& json) {
  const std::string type = string_field(json, "type", "pre_tokenizer");
  const std::string where = "pre_tokenizer " + type;
  if (byte_level_) throw std::runtime_error(where + ": a step after ByteLevel is not supported");
  if (type == "ByteLevel") {
    add_byte_level(json);
  } else if (type == "Digits") {
    const bool individual = bool_field(json, "individual_digits", false, where);
    steps_.push_back(split_step(Regex("\\p{N}"), individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous));
  } else if (type == "Metaspace") {
    const std::string replacement = string_field(json, "replacement", where);
    if (replacement.empty()) throw std::runtime_error(where + ": 'replacement' is empty");
    steps_.push_back(metaspace_step(replacement, prepend_scheme(json)));
    if (bool_field(json, "split", true, where)) {
      steps_.push_back(split_step(Regex::literal(replacement), SplitBehavior::kMergedWithNext));
    }
  } else if (type == "Split") {
    steps_.push_back(split_step(pattern_field(json, where), parse_split_behavior(string_field(json, "behavior", where)),
                                bool_field(json, "invert", false, where)));
  } else if (type == "Sequence") {
    const nlohmann::json& parts = json_field(json, "pretokenizers", where);
    if (!parts.is_array()) throw std::runtime_error(where + ": 'pretokenizers' must be an array");
    for (const nlohmann::json& part : parts) add(part);
  } else {
    throw std::runtime_error("pre_tokenizer: type '" + type +
                             "' is not supported; known: ByteLevel Digits Metaspace Split Sequence");
  }
}

void PreTokenizer::add_byte_level(const nlohmann::json& json) {
  const std::string where = "pre_tokenizer ByteLevel";
  if (bool_field(json, "add_prefix_space", true, where)) steps_.push_back(prefix_space);
  if (bool_field(json, "use_regex", true, where)) {
    steps_.push_back(split_step(Regex(kGpt2Pattern), SplitBehavior::kIsolated));
  }
  byte_level_ = true;
}

void PreTokenizer::also_cut_before_spaces() {
  steps_.push_back(split_step(Regex("▁*[^▁]+"), SplitBehavior::kIsolated));
}

Pieces PreTokenizer::split(std::string text, bool starts_text) const {
  Pieces pieces{.text = std::move(text), .starts_text = starts_text};
  if (!pieces.text.empty()) pieces.spans.push_back({0, pieces.text.size()});
  for (const auto& step : steps_) step(pieces);
  return pieces;
}

}  // namespace moebench
