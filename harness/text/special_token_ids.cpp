// BOS and EOS of a Hugging Face folder: tokenizer.json itself does not name them.
#include <algorithm>

#include "harness/checkpoint/mapped_file.h"
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
  if (token.is_null()) return std::nullopt;
  throw std::runtime_error("tokenizer_config.json: bos_token or eos_token must be a text, an added token or null");
}

// config.json: an id, several that end a text with the main one first, or null.
std::vector<int32_t> ids_of(const TokenizerSpec& spec, const json& config, const char* name) {
  const json& field = json_field(config, name, "config.json");
  if (field.is_null()) return {};
  std::vector<int32_t> ids;
  for (const json& id : field.is_array() ? field : json::array({field})) {
    if (!id.is_number_integer() || id < 0 || id >= spec.tokens.size()) {
      throw std::runtime_error(std::string("config.json: ") + name + " " + id.dump() +
                               " is not one of the tokenizer's " + std::to_string(spec.tokens.size()) + " ids");
    }
    ids.push_back(id.get<int32_t>());
  }
  return ids;
}

std::optional<int32_t> first(const std::vector<int32_t>& ids) {
  return ids.empty() ? std::nullopt : std::optional(ids.front());
}

}  // namespace

void read_bos_and_eos(const std::filesystem::path& folder, TokenizerSpec& spec) {
  const std::filesystem::path tokenizer_config = folder / "tokenizer_config.json", config = folder / "config.json";
  if (is_there(config)) {
    const json file = read_json_object(config);
    spec.bos_id = first(ids_of(spec, file, "bos_token_id"));
    spec.eos_ids = ids_of(spec, file, "eos_token_id");
    spec.eos_id = first(spec.eos_ids);
  }
  if (!is_there(tokenizer_config)) return;
  const json file = read_json_object(tokenizer_config);
  spec.bos_id = by_text(spec, json_field(file, "bos_token", "tokenizer_config.json"));
  spec.eos_id = by_text(spec, json_field(file, "eos_token", "tokenizer_config.json"));
  if (!spec.eos_id) return;
  std::erase(spec.eos_ids, *spec.eos_id);
  spec.eos_ids.insert(spec.eos_ids.begin(), *spec.eos_id);
}

}  // namespace moebench
