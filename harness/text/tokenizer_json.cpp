// Reads Hugging Face's tokenizer.json (huggingface/tokenizers, model type BPE).
#include <set>
#include <stdexcept>
#include <unordered_map>

#include "harness/checkpoint/untrusted_json.h"
#include "harness/text/json_field.h"
#include "harness/text/tokenizer_spec.h"

namespace moebench {
namespace {

using nlohmann::json;
using Ids = std::unordered_map<std::string, int32_t>;

int32_t checked_id(const json& value, const std::string& where) {
  if (!value.is_number_integer() || value < 0 || value >= kMaxVocabularySize) {
    throw std::runtime_error(where + ": id must be a whole number from 0 to " + std::to_string(kMaxVocabularySize - 1));
  }
  return value.get<int32_t>();
}

void place_token(TokenizerSpec& spec, const std::string& token, int32_t id, const std::string& where) {
  const auto index = static_cast<size_t>(id);
  if (index >= spec.tokens.size()) spec.tokens.resize(index + 1);
  if (!spec.tokens[index].empty() && spec.tokens[index] != token) {
    throw std::runtime_error(where + ": id " + std::to_string(id) + " is both '" + spec.tokens[index] + "' and '" +
                             token + "'");
  }
  spec.tokens[index] = token;
}

Ids read_vocabulary(const json& model, TokenizerSpec& spec) {
  const json& vocabulary = json_field(model, "vocab", "model");
  if (!vocabulary.is_object()) throw std::runtime_error("model: 'vocab' must be an object of token to id");
  Ids ids;
  ids.reserve(vocabulary.size());
  for (const auto& [token, id] : vocabulary.items()) {
    ids.emplace(token, checked_id(id, "model.vocab '" + token + "'"));
    place_token(spec, token, ids[token], "model.vocab");
  }
  if (ids.empty()) throw std::runtime_error("model: 'vocab' is empty");
  return ids;
}

// "a b" in older files, ["a", "b"] in newer ones.
std::pair<std::string, std::string> merge_parts(const json& merge, const std::string& where) {
  if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
    return {merge[0].get<std::string>(), merge[1].get<std::string>()};
  }
  if (merge.is_string()) {
    const auto& text = merge.get_ref<const std::string&>();
    const size_t space = text.find(' ');
    if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos) {
      return {text.substr(0, space), text.substr(space + 1)};
    }
  }
  throw std::runtime_error(where + R"(: must be "a b" or ["a", "b"])");
}

void read_merges(const json& model, const Ids& ids, TokenizerSpec& spec) {
  const json& merges = json_field(model, "merges", "model");
  if (!merges.is_array()) throw std::runtime_error("model: 'merges' must be an array");
  spec.merges.reserve(merges.size());
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string where = "model.merges[" + std::to_string(rank) + "]";
    const auto [left, right] = merge_parts(merges[rank], where);
    const auto id_of = [&](const std::string& token) {
      const auto found = ids.find(token);
      if (found == ids.end()) throw std::runtime_error(where + ": '" + token + "' is not in the vocabulary");
      return found->second;
    };
    spec.merges.push_back({id_of(left), id_of(right), id_of(left + right), static_cast<int32_t>(rank)});
  }
}

void refuse_unsupported(const json& model) {
  const json& type = json_field(model, "type", "model");
  if (!type.is_null() && type != "BPE") {  // files of 2019 have no type
    throw std::runtime_error("model: type " + type.dump() + " is not supported; only BPE is");
  }
  for (const char* name : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json& value = json_field(model, name, "model");
    if (!value.is_null() && value != "") throw std::runtime_error(std::string("model: ") + name + " is not supported");
  }
  const json& dropout = json_field(model, "dropout", "model");
  if (!dropout.is_null() && dropout != 0) throw std::runtime_error("model: dropout is not supported");
}

void read_model(const json& model, const Ids& ids, TokenizerSpec& spec) {
  read_merges(model, ids, spec);
  spec.fuse_unknown = bool_field(model, "fuse_unk", false, "model");
  spec.byte_fallback = bool_field(model, "byte_fallback", false, "model");
  spec.ignore_merges = bool_field(model, "ignore_merges", false, "model");
  if (json_field(model, "unk_token", "model").is_null()) return;
  const std::string unknown = string_field(model, "unk_token", "model");
  const auto found = ids.find(unknown);
  if (found == ids.end()) throw std::runtime_error("model: unk_token '" + unknown + "' is not in the vocabulary");
  spec.unknown_id = found->second;
}

void read_added_tokens(const json& tokens, const Ids& ids, TokenizerSpec& spec) {
  if (tokens.is_null()) return;
  if (!tokens.is_array()) throw std::runtime_error("'added_tokens' must be an array");
  std::set<std::string> seen;
  for (const json& token : tokens) {
    const std::string where = "added_tokens[" + std::to_string(seen.size()) + "]";
    AddedToken added;
    added.content = string_field(token, "content", where);
    added.id = checked_id(json_field(token, "id", where), where);
    added.special = bool_field(token, "special", false, where);
    added.single_word = bool_field(token, "single_word", false, where);
    added.lstrip = bool_field(token, "lstrip", false, where);
    added.rstrip = bool_field(token, "rstrip", false, where);
    added.normalized = bool_field(token, "normalized", !added.special, where);
    if (!seen.insert(added.content).second) throw std::runtime_error(where + ": '" + added.content + "' comes twice");
    if (const auto known = ids.find(added.content); known != ids.end() && known->second != added.id) {
      throw std::runtime_error(where + ": '" + added.content + "' is " + std::to_string(added.id) + " here but " +
                               std::to_string(known->second) + " in the vocabulary");
    }
    place_token(spec, added.content, added.id, where);
    spec.added_tokens.push_back(std::move(added));
  }
}

// What a TemplateProcessing puts around a single text.
void read_template(const json& processor, TokenizerSpec& spec) {
  const std::string where = "post_processor TemplateProcessing";
  const json& parts = json_field(processor, "single", where);
  if (!parts.is_array()) throw std::runtime_error(where + ": 'single' must be an array");
  bool behind_text = false;
  for (const json& part : parts) {
    if (part.is_object() && part.contains("Sequence")) {
      behind_text = true;
      continue;
    }
    const std::string name = string_field(json_field(part, "SpecialToken", where), "id", where);
    const json& special = json_field(json_field(processor, "special_tokens", where), name, where);
    const json& ids = json_field(special, "ids", where + " '" + name + "'");
    if (!ids.is_array()) throw std::runtime_error(where + " '" + name + "': 'ids' must be an array");
    for (const json& id : ids) (behind_text ? spec.suffix : spec.prefix).push_back(checked_id(id, where));
  }
  if (!behind_text) throw std::runtime_error(where + ": 'single' has no Sequence");
}

void read_post_processor(const json& processor, TokenizerSpec& spec) {
  if (processor.is_null()) return;
  const std::string type = string_field(processor, "type", "post_processor");
  if (type == "TemplateProcessing") {
    read_template(processor, spec);
  } else if (type == "Sequence") {
    for (const json& part : json_field(processor, "processors", "post_processor Sequence")) {
      read_post_processor(part, spec);
    }
  } else if (type != "ByteLevel") {  // which moves offsets only
    throw std::runtime_error("post_processor: type '" + type +
                             "' is not supported; known: ByteLevel TemplateProcessing Sequence");
  }
}

}  // namespace

TokenizerSpec read_tokenizer_json(const std::filesystem::path& path) {
  const json file = read_json_object(path);
  TokenizerSpec spec;
  const json& model = json_field(file, "model", "tokenizer");
  refuse_unsupported(model);
  const Ids ids = read_vocabulary(model, spec);
  read_model(model, ids, spec);
  read_added_tokens(json_field(file, "added_tokens", "tokenizer"), ids, spec);
  read_post_processor(json_field(file, "post_processor", "tokenizer"), spec);
  spec.normalizer = json_field(file, "normalizer", "tokenizer");
  spec.pre_tokenizer = json_field(file, "pre_tokenizer", "tokenizer");
  spec.decoder = json_field(file, "decoder", "tokenizer");
  return spec;
}

}  // namespace moebench
