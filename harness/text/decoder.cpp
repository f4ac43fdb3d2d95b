#include "harness/text/decoder.h"

#include <charconv>
#include <optional>
#include <stdexcept>

#include "harness/checkpoint/utf8.h"
#include "harness/text/byte_alphabet.h"
#include "harness/text/pattern.h"

namespace moebench {
namespace {

using Tokens = std::vector<std::string>;

void fuse(Tokens& tokens) {
  std::string text;
  for (const std::string& token : tokens) text += token;
  tokens = {std::move(text)};
}

// A token with a character outside the alphabet (an added one) stands for its own bytes.
void decode_byte_level(Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) bytes += spelled_bytes(token).value_or(token);
  tokens = {replace_invalid_utf8(bytes)};
}

std::optional<char> fallback_byte(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc{} || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

// A run of <0xNN> tokens is text if it is UTF-8; otherwise each of its bytes is a U+FFFD.
void decode_byte_fallback(Tokens& tokens) {
  Tokens decoded;
  std::string run;
  const auto end_run = [&] {
    if (find_invalid_utf8(run) == std::string_view::npos) {
      if (!run.empty()) decoded.push_back(run);
    } else {
      decoded.insert(decoded.end(), run.size(), "\uFFFD");
    }
    run.clear();
  };
  for (std::string& token : tokens) {
    if (const auto byte = fallback_byte(token)) {
      run += *byte;
    } else {
      end_run();
      decoded.push_back(std::move(token));
    }
  }
  end_run();
  tokens = std::move(decoded);
}

// The first token loses its spaces, unless none was put there.
void decode_metaspace(Tokens& tokens, const Regex& replacement, bool prefixed) {
  RegexSearch search(replacement);
  for (size_t index = 0; index < tokens.size(); ++index) {
    tokens[index] = replace_all(tokens[index], search, index == 0 && prefixed ? "" : " ");
  }
}

void strip(std::string& token, std::string_view content, int64_t start, int64_t stop) {
  std::string_view rest = token;
  for (; start > 0 && rest.starts_with(content); --start) rest.remove_prefix(content.size());
  for (; stop > 0 && rest.ends_with(content); --stop) rest.remove_suffix(content.size());
  token = std::string(rest);
}

int64_t count_field(const nlohmann::json& json, const std::string& name, const std::string& where) {
  const nlohmann::json& value = json_field(json, name, where);
  if (!value.is_number_integer() || value < 0) throw std::runtime_error(where + ": '" + name + "' must be a count");
  return static_cast<int64_t>(std::min<uint64_t>(value.get<uint64_t>(), INT64_MAX));
}

}  // namespace

Decoder::Decoder(const nlohmann::json& json) : join_with_spaces_(json.is_null()) {
  if (!json.is_null()) add(json);
}

void Decoder::add(const nlohmann::json& json) {
  const std::string type = string_field(json, "type", "decoder");
  const std::string where = "decoder " + type;
  if (type == "ByteLevel") {
    steps_.push_back(decode_byte_level);
  } else if (type == "ByteFallback") {
    steps_.push_back(decode_byte_fallback);
  } else if (type == "Fuse") {
    steps_.push_back(fuse);
  } else if (type == "Metaspace") {
    const bool prefixed = json_field(json, "prepend_scheme", where).is_null()
                              ? bool_field(json, "add_prefix_space", true, where)
                              : string_field(json, "prepend_scheme", where) != "never";
    steps_.push_back([replacement = Regex::literal(string_field(json, "replacement", where)),
                      prefixed](Tokens& tokens) { decode_metaspace(tokens, replacement, prefixed); });
  } else if (type == "Replace") {
    steps_.push_back(
        [pattern = pattern_field(json, where), content = string_field(json, "content", where)](Tokens& tokens) {
          RegexSearch search(pattern);
          for (std::string& token : tokens) token = replace_all(token, search, content);
        });
  } else if (type == "Strip") {
    const std::string content = string_field(json, "content", where);
    if (content.empty()) throw std::runtime_error(where + ": 'content' is empty");
    const int64_t start = count_field(json, "start", where), stop = count_field(json, "stop", where);
    steps_.push_back([content, start, stop](Tokens& tokens) {
      for (std::string& token : tokens) strip(token, content, start, stop);
    });
  } else if (type == "Sequence") {
    const nlohmann::json& parts = json_field(json, "decoders", where);
    if (!parts.is_array()) throw std::runtime_error(where + ": 'decoders' must be an array");
    for (const nlohmann::json& part : parts) add(part);
  } else {
    throw std::runtime_error("decoder: type '" + type +
                             "' is not supported; known: ByteFallback ByteLevel Fuse Metaspace Replace Strip Sequence");
  }
}

std::string Decoder::decode(std::vector<std::string> tokens) const {
  for (const auto& step : steps_) step(tokens);
  std::string text;
  for (size_t index = 0; index < tokens.size(); ++index) {
    if (join_with_spaces_ && index > 0) text += ' ';
    text += tokens[index];
  }
  return text;
}

}  // namespace moebench
