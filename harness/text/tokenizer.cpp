#include "harness/text/tokenizer.h"

#include <unordered_map>

#include "harness/checkpoint/gguf.h"
#include "harness/checkpoint/utf8.h"
#include "harness/content_hash.h"
#include "harness/text/added_tokens.h"
#include "harness/text/byte_pair_model.h"
#include "harness/text/decoder.h"
#include "harness/text/normalizer.h"
#include "harness/text/piece_cache.h"
#include "harness/text/pre_tokenizer.h"
#include "harness/text/tokenizer_spec.h"
#include "harness/text/vocabulary.h"

namespace moebench {
namespace {

constexpr size_t kMaxTextBytes = size_t{1} << 30;
constexpr size_t kMaxCachedPieceBytes = 64;

std::vector<AddedToken> select(const std::vector<AddedToken>& tokens, bool normalized, const Normalizer& normalizer) {
  std::vector<AddedToken> selected;
  for (AddedToken token : tokens) {
    if (token.normalized != normalized) continue;
    if (normalized) token.content = normalizer.normalize(token.content);
    selected.push_back(std::move(token));
  }
  return selected;
}

nlohmann::json added_tokens_json(const std::vector<AddedToken>& tokens) {
  auto json = nlohmann::json::array();
  for (const AddedToken& token : tokens) {
    json.push_back(
        {token.content, token.id, token.special, token.single_word, token.lstrip, token.rstrip, token.normalized});
  }
  return json;
}

TokenizerSpec read_spec(const std::filesystem::path& file) {
  if (file.extension() == ".gguf") return read_gguf_tokenizer(GgufFile(file));
  TokenizerSpec spec = read_tokenizer_json(file);
  read_bos_and_eos(file.parent_path(), spec);
  return spec;
}

// Everything that decides ids and decoded text.
std::string hash_of(const TokenizerSpec& spec) {
  const nlohmann::json settings = {
      {"normalizer", spec.normalizer},
      {"pre_tokenizer", spec.pre_tokenizer},
      {"decoder", spec.decoder},
      {"unknown_id", spec.unknown_id.value_or(-1)},
      {"flags", {spec.fuse_unknown, spec.byte_fallback, spec.ignore_merges}},
      {"added_tokens", added_tokens_json(spec.added_tokens)},
      {"prefix", spec.prefix},
      {"suffix", spec.suffix},
      {"bos_eos", {spec.bos_id.value_or(-1), spec.eos_id.value_or(-1)}},
      {"num_tokens", spec.tokens.size()},
  };
  ContentHasher hasher;
  hasher.update(settings.dump());
  for (const std::string& token : spec.tokens) hasher.update(std::to_string(token.size()) + ":" + token);
  for (const Merge& merge : spec.merges) {
    const int32_t fields[] = {merge.left, merge.right, merge.token, merge.rank};
    hasher.update({reinterpret_cast<const char*>(fields), sizeof fields});
  }
  return hasher.finish();
}

}  // namespace

struct Tokenizer::State {
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  Decoder decoder;
  AddedTokenMatcher added_tokens, normalized_added_tokens;
  Vocabulary vocabulary;
  BytePairModel model;
  std::unordered_map<int32_t, std::string> normalized_contents;  // what these added tokens decode to
  std::vector<int32_t> prefix, suffix;
  std::optional<int32_t> bos_id, eos_id;
  std::vector<int32_t> eos_ids;
  std::string content_hash;

  explicit State(const TokenizerSpec& spec)
      : normalizer(spec.normalizer),
        pre_tokenizer(spec.pre_tokenizer),
        decoder(spec.decoder),
        added_tokens(select(spec.added_tokens, false, normalizer)),
        normalized_added_tokens(select(spec.added_tokens, true, normalizer)),
        vocabulary(spec.tokens),
        model(spec, vocabulary, pre_tokenizer.byte_level()),
        prefix(spec.prefix),
        suffix(spec.suffix),
        bos_id(spec.bos_id),
        eos_id(spec.eos_id),
        eos_ids(spec.eos_ids),
        content_hash(hash_of(spec)) {
    // Without a pre-tokenizer a whole document is one piece; cut where it makes no difference, pieces recur.
    if (model.can_cut_before_spaces()) pre_tokenizer.also_cut_before_spaces();
    for (const AddedToken& token : spec.added_tokens) {
      if (token.normalized) normalized_contents[token.id] = normalizer.normalize(token.content);
    }
  }

  void encode_pieces(const Pieces& pieces, std::vector<int32_t>& ids) const;
};

void Tokenizer::State::encode_pieces(const Pieces& pieces, std::vector<int32_t>& ids) const {
  PieceCache cache(pieces.text.size());
  BytePairModel::Workspace workspace;
  for (const Pieces::Span& span : pieces.spans) {
    const std::string_view piece = pieces.view(span);
    const size_t first = ids.size();
    if (piece.size() > kMaxCachedPieceBytes) {
      model.encode(piece, workspace, ids);
      continue;
    }
    PieceCache::Entry& entry = cache.entry_of(piece);
    if (entry.piece == piece) {
      for (size_t index = 0; index < entry.count; ++index) ids.push_back(ids[entry.first + index]);
    } else {
      model.encode(piece, workspace, ids);
      entry = {piece, first, ids.size() - first};
    }
  }
}

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::~Tokenizer() = default;

std::unique_ptr<Tokenizer> Tokenizer::load(const std::filesystem::path& model_path) {
  std::error_code ignored;  // is opening's to report
  const bool is_folder = std::filesystem::is_directory(model_path, ignored);
  const std::filesystem::path file = is_folder ? model_path / "tokenizer.json" : model_path;
  try {
    return std::unique_ptr<Tokenizer>(new Tokenizer(std::make_unique<State>(read_spec(file))));
  } catch (const std::exception& error) {
    const std::string message = error.what();  // GgufFile's name the file already
    throw std::runtime_error(message.starts_with(file.string()) ? message : file.string() + ": " + message);
  }
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, SpecialTokens special_tokens) const {
  require_utf8(text, "text");
  if (text.size() > kMaxTextBytes) throw std::runtime_error("text: more than 1 GiB; cut it into documents");
  std::vector<int32_t> ids;
  for (const auto& [raw, raw_id] : state_->added_tokens.split(text, special_tokens)) {
    if (raw_id) {
      ids.push_back(*raw_id);
      continue;
    }
    const std::string normalized = state_->normalizer.normalize(std::string(raw));
    const auto segments = state_->normalized_added_tokens.split(normalized, special_tokens);
    for (const auto& [segment, id] : segments) {
      if (id) {
        ids.push_back(*id);
        continue;
      }
      const bool starts_text = raw.data() == text.data() && segment.data() == normalized.data();
      state_->encode_pieces(state_->pre_tokenizer.split(std::string(segment), starts_text), ids);
    }
  }
  return ids;
}

std::vector<int32_t> Tokenizer::encode_with_defaults(std::string_view text) const {
  std::vector<int32_t> ids = encode(text);
  ids.insert(ids.begin(), state_->prefix.begin(), state_->prefix.end());
  ids.insert(ids.end(), state_->suffix.begin(), state_->suffix.end());
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int32_t id : ids) {
    const std::string_view token = state_->vocabulary.token(id);
    if (token.empty()) continue;
    const auto normalized = state_->normalized_contents.find(id);
    tokens.emplace_back(normalized == state_->normalized_contents.end() ? token : normalized->second);
  }
  return state_->decoder.decode(std::move(tokens));
}

int64_t Tokenizer::vocab_size() const { return state_->vocabulary.size(); }
std::optional<int32_t> Tokenizer::bos_id() const { return state_->bos_id; }
std::optional<int32_t> Tokenizer::eos_id() const { return state_->eos_id; }
const std::vector<int32_t>& Tokenizer::eos_ids() const { return state_->eos_ids; }
std::string Tokenizer::content_hash() const { return state_->content_hash; }

}  // namespace moebench
