// BOS and EOS of a Hugging Face folder: tokenizer.json itself does not name them.
#include <algorithm>

#include "harness/checkpoint/untrusted_json.h"
#include "harness/text/json_field.h"
#include "harness/text/tokenizer_spec.h"

namespace moebench {
namespace {

using nlohmann::json;

std::optional<int32_t> id_of(const TokenizerSpec& spec, const std::string& token) {
  for (const AddedToken& added : spec.added_tokens) {
    if (added.content == token) return added.id;
  }
  const auto found = std::find(spec.tokens.begin(), spec.tokens.end(), token);
  if (token.empty() || found == spec.tokens.end()) return std::nullopt;
  return static_cast<int32_t>(found - spec.tokens.begin());
}

// tokenizer_config.json: a text, an added token with "content", or null.
std::optional<int32_t> by_text(const TokenizerSpec& spec, const json& token) {
  if (token.is_string()) return id_of(spec, token.get<std::string>());
  if (token.is_object()) return id_of(spec, string_field(token, "content", "bos_token or eos_token"));
  return std::nullopt;
}

// config.json: an id, or several that end a text, the main one first.
std::optional<int32_t> by_id(const TokenizerSpec& spec, const json& field) {
  const json& id = field.is_array() && !field.empty() ? field.front() : field;
  if (!id.is_number_integer() || id < 0 || id >= kMaxVocabularySize) return std::nullopt;
  const auto value = id.get<int32_t>();
  const bool is_added = std::any_of(spec.added_tokens.begin(), spec.added_tokens.end(),
                                    [&](const AddedToken& added) { return added.id == value; });
  const bool is_known = is_added || static_cast<size_t>(value) < spec.tokens.size();
  return is_known ? std::optional(value) : std::nullopt;
}

}  // namespace

void read_bos_and_eos(const std::filesystem::path& folder, TokenizerSpec& spec) {
  const std::filesystem::path tokenizer_config = folder / "tokenizer_config.json", config = folder / "config.json";
  if (std::filesystem::exists(tokenizer_config)) {
    const json file = read_json_object(tokenizer_config);
    spec.bos_id = by_text(spec, json_field(file, "bos_token", "tokenizer_config.json"));
    spec.eos_id = by_text(spec, json_field(file, "eos_token", "tokenizer_config.json"));
  } else if (std::filesystem::exists(config)) {
    const json file = read_json_object(config);
    spec.bos_id = by_id(spec, json_field(file, "bos_token_id", "config.json"));
    spec.eos_id = by_id(spec, json_field(file, "eos_token_id", "config.json"));
  }
}

}  // namespace moebench
